#include "server/store/sqlite/sqlite_store.h"

#include <algorithm>
#include <utility>

#include "policy/base/limits.h"
#include "server/store/sqlite/columns/blob_fields.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/columns/sightings_table.h"
#include "server/store/sqlite/exceptions_table.h"
#include "server/store/sqlite/schema.h"
#include "server/store/sqlite/sqlite_queries.h"
#include "server/store/sqlite/work_tables.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/exceptions.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using base::Status;
using sqlite::Statement;
using sqlite::Transaction;

constexpr std::string_view kInMemory = ":memory:";
constexpr int kWriterCacheKib = 64 * 1024;
// The widest index of a million sightings: a list that is searched reads all of it.
constexpr int kReaderCacheKib = 128 * 1024;

base::ByteView TokenColumn(const std::optional<Actor>& actor) {
  return actor ? actor->token.view() : base::ByteView();
}
std::string_view NameColumn(const std::optional<Actor>& actor) {
  return actor ? std::string_view(actor->name) : std::string_view();
}

Change OfEndpoint(const model::Id& endpoint, base::WallTime now) {
  Change change;
  change.topic = ChangeTopic::kEndpoint;
  change.time = now;
  change.endpoint = endpoint;
  return change;
}

// What ends the whole group: it says something about the disk or the file, not about one batch.
bool IsOfTheStore(const base::Error& error) {
  switch (error.code()) {
    case base::ErrorCode::kResourceExhausted:
    case base::ErrorCode::kUnavailable:
    case base::ErrorCode::kDataLoss:
    case base::ErrorCode::kPermissionDenied:
    case base::ErrorCode::kNotFound:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path) {
  sqlite::OpenOptions options;
  options.cache_kib = kWriterCacheKib;
  WM_ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(path, options));
  WM_RETURN_IF_ERROR(database->Migrate(kSchemaRoom, SchemaSteps()));
  WM_RETURN_IF_ERROR(FillFacts(*database));
  WM_RETURN_IF_ERROR(FillExceptions(*database));
  WM_RETURN_IF_ERROR(AddBlobFields(*database));
  return std::unique_ptr<SqliteStore>(new SqliteStore(path, std::move(database)));
}

Result<std::unique_ptr<Queries>> SqliteStore::OpenQueries() {
  if (path_ == kInMemory) {
    return std::unique_ptr<Queries>(std::make_unique<SqliteQueries>(*database_));
  }
  sqlite::OpenOptions options;
  options.read_only = true;
  options.cache_kib = kReaderCacheKib;
  WM_ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(path_, options));
  WM_RETURN_IF_ERROR(AddBlobFields(*database));
  return std::unique_ptr<Queries>(std::make_unique<SqliteQueries>(std::move(database)));
}

Status SqliteStore::AdoptFleet(const std::string& fleet_id, const model::Id& lineage,
                               std::uint64_t root_version, const wire::SignedDocument& root) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  {
    WM_ASSIGN_OR_RETURN(Statement add,
                        database_->Prepare("INSERT INTO fleet (id, fleet_id, lineage_id) "
                                           "VALUES (1, ?, ?) ON CONFLICT (id) DO NOTHING"));
    WM_RETURN_IF_ERROR(add.Bind(fleet_id).Bind(lineage.view()).Run());
    WM_ASSIGN_OR_RETURN(Statement find, database_->Prepare("SELECT fleet_id FROM fleet"));
    WM_RETURN_IF_ERROR(find.Step());
    if (find.Text(0) != fleet_id) {
      return base::FailedPrecondition("this store belongs to the fleet " + find.Text(0) +
                                      " and the keys to " + fleet_id +
                                      "; give the server the folder of one fleet");
    }
  }
  WM_RETURN_IF_ERROR(AdoptRoot(root_version, root));
  return transaction.Commit();
}

// Endpoints follow roots step by step; a step that they would refuse must not be stored for ever.
Status SqliteStore::AdoptRoot(std::uint64_t version, const wire::SignedDocument& root) {
  WM_ASSIGN_OR_RETURN(const std::optional<wire::Root> newest, NewestRoot());
  if (newest.has_value() && version <= newest->version) return CheckStoredRoot(version, root);
  std::optional<wire::Root> next;
  if (newest.has_value()) {
    auto verified = wire::VerifyNextRoot(*newest, root);
    if (!verified.has_value()) {
      return std::move(verified.error()).While("adopting a new root document");
    }
    next = *std::move(verified);
  }
  v1::SignedRoot message;
  wire::ToProto(root, message);
  const std::string bytes = message.SerializeAsString();
  WM_ASSIGN_OR_RETURN(Statement add,
                      database_->Prepare("INSERT INTO roots (version, signed_root) VALUES (?, ?)"));
  WM_RETURN_IF_ERROR(add.Bind(Column(version)).Bind(base::AsBytes(bytes)).Run());
  if (next.has_value() && wire::TakesAPolicyKeyAway(*newest, *next)) return GoBackToTrusted(*next);
  return {};
}

Result<std::optional<wire::Root>> SqliteStore::NewestRoot() {
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_->Prepare("SELECT signed_root FROM roots ORDER BY version DESC LIMIT 1"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Step());
  if (!found) return std::optional<wire::Root>();
  WM_ASSIGN_OR_RETURN(const auto message, ParseColumn<v1::SignedRoot>(find, 0, "root document"));
  WM_ASSIGN_OR_RETURN(const auto document, Stored(wire::FromProto(message), "root document"));
  WM_ASSIGN_OR_RETURN(wire::Root root, Stored(wire::ParseRoot(document.bytes), "root document"));
  return std::optional(std::move(root));
}

Status SqliteStore::CheckStoredRoot(std::uint64_t version, const wire::SignedDocument& root) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_->Prepare("SELECT signed_root FROM roots WHERE version = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Column(version)).Step());
  if (!found) return {};
  WM_ASSIGN_OR_RETURN(const auto stored, ParseColumn<v1::SignedRoot>(find, 0, "root document"));
  if (stored.root() == root.bytes) return {};
  return base::FailedPrecondition("another root document of version " + std::to_string(version) +
                                  " was adopted before, and endpoints may follow it already");
}

// Whoever had a key that was taken away may have published a version that nothing can be above.
Status SqliteStore::GoBackToTrusted(const wire::Root& root) {
  std::uint64_t version = 0;
  std::uint64_t floor = 0;
  {
    WM_ASSIGN_OR_RETURN(
        Statement bundles,
        database_->Prepare(
            "SELECT version, floor, signed_bundle FROM bundles ORDER BY version DESC"));
    while (version == 0) {
      WM_ASSIGN_OR_RETURN(const bool more, bundles.Step());
      if (!more) break;
      WM_ASSIGN_OR_RETURN(const auto message, ParseColumn<v1::SignedBundle>(bundles, 2, "policy"));
      WM_ASSIGN_OR_RETURN(const auto document, Stored(wire::FromProto(message), "policy"));
      if (!root.Trusts(wire::kRolePolicy, wire::kDomainBundle, document.bytes,
                       document.signatures)) {
        continue;
      }
      version = Number(bundles, 0);
      floor = Number(bundles, 1);
    }
  }
  WM_ASSIGN_OR_RETURN(Statement put,
                      database_->Prepare("UPDATE fleet SET newest_policy = ?, floor = ?"));
  return put.Bind(Column(version)).Bind(Column(floor)).Run();
}

Status SqliteStore::AddToken(const EnrolmentTokenRecord& token) {
  WM_ASSIGN_OR_RETURN(Statement add,
                      database_->Prepare("INSERT INTO tokens (secret_sha256, uses, uses_left, "
                                         "created_us, expires_us, comment, labels) "
                                         "VALUES (?, ?, ?, ?, ?, ?, ?)"));
  return add.Bind(token.secret_sha256.view())
      .Bind(std::int64_t{token.uses})
      .Bind(std::int64_t{token.uses})
      .Bind(Column(token.created))
      .Bind(Column(token.expires))
      .Bind(token.comment)
      .Bind(SetColumn(LabelWords(token.labels)))
      .Run();
}

Result<std::int64_t> SqliteStore::Count(std::string_view sql, std::optional<base::WallTime> now) {
  WM_ASSIGN_OR_RETURN(Statement count, database_->Prepare(sql));
  if (now.has_value()) count.Bind(Column(*now));
  WM_RETURN_IF_ERROR(count.Step());
  return count.Int(0);
}

Status SqliteStore::AddAdminToken(const AdminTokenRecord& token) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  WM_ASSIGN_OR_RETURN(
      const std::int64_t there,
      Count("SELECT count(*) FROM admin_tokens WHERE revoked_us IS NULL", std::nullopt));
  if (there >= static_cast<std::int64_t>(base::limits::kMaxAdminTokens)) {
    return base::ResourceExhausted("there are " + std::to_string(there) +
                                   " administrators' tokens already; revoke some first");
  }
  {
    WM_ASSIGN_OR_RETURN(
        Statement add,
        database_->Prepare("INSERT INTO admin_tokens (token_id, secret_sha256, name, role, scope, "
                           "created_us, created_by, expires_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
    std::optional<base::ByteView> created_by;
    if (token.created_by.has_value()) created_by = token.created_by->view();
    std::optional<std::int64_t> expires;
    if (token.expires.has_value()) expires = Column(*token.expires);
    WM_RETURN_IF_ERROR(add.Bind(token.id.view())
                           .Bind(token.secret_sha256.view())
                           .Bind(token.name)
                           .Bind(EnumColumn(token.role))
                           .Bind(token.scope.ToText())
                           .Bind(Column(token.created))
                           .Bind(created_by)
                           .Bind(expires)
                           .Run());
  }
  return transaction.Commit();
}

Status SqliteStore::RevokeAdminToken(const Scope& scope, const model::Id& token,
                                     base::WallTime now) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  bool is_last_of_all = false;
  {
    WM_ASSIGN_OR_RETURN(
        Statement revoke,
        database_->Prepare("UPDATE admin_tokens SET revoked_us = coalesce("
                           "revoked_us, ?) WHERE token_id = ? RETURNING role, scope"));
    WM_ASSIGN_OR_RETURN(const bool found, revoke.Bind(Column(now)).Bind(token.view()).Step());
    Scope its = Scope::WholeFleet();
    if (found) {
      WM_ASSIGN_OR_RETURN(its, Stored(Scope::Parse(Chars(revoke, 1)), "scope"));
    }
    if (!found || !scope.Has(its.labels())) {
      return base::NotFound("there is no administrator's token " + token.ToHex());
    }
    is_last_of_all = revoke.Int(0) == EnumColumn(AdminRole::kAdmin) && its.is_whole_fleet();
  }
  WM_ASSIGN_OR_RETURN(const std::int64_t left,
                      Count("SELECT count(*) FROM admin_tokens WHERE role = 4 AND scope = '' AND "
                            "revoked_us IS NULL AND (expires_us IS NULL OR expires_us > ?)",
                            now));
  if (left == 0 && is_last_of_all) {
    return base::FailedPrecondition(
        "this is the last token of the role admin and for the whole fleet that is good; make "
        "another one first");
  }
  return transaction.Commit();
}

Result<std::uint64_t> SqliteStore::AppendAudit(const wire::AuditRow& row) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  wire::AuditRow next = row;
  next.number = 1;
  model::Sha256 previous;
  {
    WM_ASSIGN_OR_RETURN(
        Statement last,
        database_->Prepare("SELECT number, sha256 FROM audit ORDER BY number DESC LIMIT 1"));
    WM_ASSIGN_OR_RETURN(const bool found, last.Step());
    if (found) {
      next.number = Number(last, 0) + 1;
      WM_ASSIGN_OR_RETURN(previous, Stored(model::Sha256FromBytes(last.Blob(1)), "digest"));
    }
  }
  {
    WM_ASSIGN_OR_RETURN(
        Statement add,
        database_->Prepare("INSERT INTO audit (number, time_us, token_id, token_name, method, "
                           "outcome, begun_number, code, summary, sha256) "
                           "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
    WM_RETURN_IF_ERROR(add.Bind(Column(next.number))
                           .Bind(Column(next.time))
                           .Bind(next.token_id.view())
                           .Bind(next.token_name)
                           .Bind(next.method)
                           .Bind(EnumColumn(next.outcome))
                           .Bind(Column(next.begun_number))
                           .Bind(std::int64_t{next.code})
                           .Bind(next.summary)
                           .Bind(wire::AuditDigest(previous, next).view())
                           .Run());
  }
  WM_RETURN_IF_ERROR(transaction.Commit());
  return next.number;
}

Result<std::optional<SqliteStore::KnownKey>> SqliteStore::FindKey(const model::Sha256& key_id) {
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_->Prepare("SELECT e.token, e.endpoint_id, e.state, k.revoked_us FROM keys k "
                         "JOIN endpoints e ON e.id = k.endpoint WHERE k.key_id = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(key_id.view()).Step());
  if (!found) return std::optional<KnownKey>();
  KnownKey known;
  known.token = find.Int(0);
  WM_ASSIGN_OR_RETURN(known.endpoint, Stored(model::IdFromBytes(find.Blob(1)), "endpoint id"));
  known.revoked = find.Int(2) != EnumColumn(EndpointState::kActive) || !find.IsNull(3);
  return std::optional<KnownKey>(known);
}

Result<std::int64_t> SqliteStore::SpendToken(const model::Sha256& token, base::WallTime now,
                                             const std::optional<KnownKey>& known) {
  WM_ASSIGN_OR_RETURN(Statement find, database_->Prepare("SELECT id, uses, uses_left, expires_us "
                                                         "FROM tokens WHERE secret_sha256 = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(token.view()).Step());
  if (!found) {
    return base::Unauthenticated(
        "this server does not know the enrolment token; check that it was copied whole, or ask for "
        "a new one (weighctl tokens create)");
  }
  const std::int64_t id = find.Int(0);
  if (known.has_value() && known->token == id) return id;
  if (now >= Time(find, 3)) {
    return base::Unauthenticated("the enrolment token expired at " +
                                 base::FormatWallTime(Time(find, 3)) +
                                 "; ask for a new one (weighctl tokens create)");
  }
  if (find.Int(2) == 0) {
    return base::Unauthenticated("the enrolment token is used up (" + std::to_string(find.Int(1)) +
                                 (find.Int(1) == 1 ? " use" : " uses") +
                                 "); ask for a new one (weighctl tokens create)");
  }
  WM_ASSIGN_OR_RETURN(
      Statement spend,
      database_->Prepare("UPDATE tokens SET uses_left = uses_left - 1 WHERE id = ?"));
  WM_RETURN_IF_ERROR(spend.Bind(id).Run());
  return id;
}

Status SqliteStore::AddEndpoint(std::int64_t token, base::WallTime now,
                                const NewEndpoint& endpoint) {
  std::int64_t id = 0;
  {
    WM_ASSIGN_OR_RETURN(
        Statement add,
        database_->Prepare("INSERT INTO endpoints (endpoint_id, state, hostname, os, os_release, "
                           "agent_version, machine_sha256, token, enrolled_us, labels) "
                           "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
                           "(SELECT labels FROM tokens WHERE id = ?8))"));
    WM_RETURN_IF_ERROR(add.Bind(endpoint.id.view())
                           .Bind(EnumColumn(EndpointState::kActive))
                           .Bind(endpoint.machine.hostname)
                           .Bind(endpoint.machine.os)
                           .Bind(endpoint.machine.os_release)
                           .Bind(endpoint.machine.agent_version)
                           .Bind(base::ByteView(endpoint.machine.machine_sha256))
                           .Bind(token)
                           .Bind(Column(now))
                           .Run());
    id = database_->LastInsertId();
  }
  WM_ASSIGN_OR_RETURN(Statement add,
                      database_->Prepare("INSERT INTO keys (endpoint, key_id, spki, added_us) "
                                         "VALUES (?, ?, ?, ?)"));
  return add.Bind(id)
      .Bind(endpoint.key.id().view())
      .Bind(base::ByteView(endpoint.key.spki()))
      .Bind(Column(now))
      .Run();
}

Result<model::Id> SqliteStore::Enrol(const model::Sha256& token, base::WallTime now,
                                     const NewEndpoint& endpoint) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  WM_ASSIGN_OR_RETURN(const std::optional<KnownKey> known, FindKey(endpoint.key.id()));
  WM_ASSIGN_OR_RETURN(const std::int64_t token_id, SpendToken(token, now, known));
  if (known.has_value()) {
    if (known->revoked) {
      return base::PermissionDenied(
          "this endpoint's key was revoked or quarantined; remove the agent's state so that it "
          "makes a new key, and enrol again");
    }
    WM_RETURN_IF_ERROR(transaction.Commit());
    return known->endpoint;
  }
  WM_RETURN_IF_ERROR(AddEndpoint(token_id, now, endpoint));
  WM_RETURN_IF_ERROR(AddChange(*database_, OfEndpoint(endpoint.id, now)));
  WM_RETURN_IF_ERROR(transaction.Commit());
  return endpoint.id;
}

Status SqliteStore::CheckInScope(const Scope& scope, const model::Id& endpoint) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_->Prepare("SELECT labels FROM endpoints WHERE endpoint_id = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(endpoint.view()).Step());
  Labels labels;
  if (found) {
    WM_ASSIGN_OR_RETURN(labels, ReadLabels(find, 0));
  }
  if (found && scope.Has(labels)) return {};
  return base::NotFound("there is no endpoint " + endpoint.ToHex());
}

Status SqliteStore::SetLabels(const Scope& scope, const model::Id& endpoint, const Labels& labels,
                              base::WallTime now) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  WM_RETURN_IF_ERROR(CheckInScope(scope, endpoint));
  if (!scope.Has(labels)) {
    return base::PermissionDenied("the labels of this token's scope, " + scope.ToText() +
                                  ", are not its to take away");
  }
  WM_ASSIGN_OR_RETURN(Statement put,
                      database_->Prepare("UPDATE endpoints SET labels = ? WHERE endpoint_id = ?"));
  WM_RETURN_IF_ERROR(put.Bind(SetColumn(LabelWords(labels))).Bind(endpoint.view()).Run());
  WM_RETURN_IF_ERROR(AddChange(*database_, OfEndpoint(endpoint, now)));
  return transaction.Commit();
}

Status SqliteStore::Revoke(const Scope& scope, const model::Id& endpoint, const std::string& reason,
                           base::WallTime now) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  WM_RETURN_IF_ERROR(CheckInScope(scope, endpoint));
  WM_ASSIGN_OR_RETURN(Statement revoke,
                      database_->Prepare("UPDATE endpoints SET state = ?, "
                                         "revoked_us = coalesce(revoked_us, ?), "
                                         "revoked_reason = coalesce(revoked_reason, ?) "
                                         "WHERE endpoint_id = ?"));
  WM_RETURN_IF_ERROR(revoke.Bind(EnumColumn(EndpointState::kRevoked))
                         .Bind(Column(now))
                         .Bind(reason)
                         .Bind(endpoint.view())
                         .Run());
  WM_ASSIGN_OR_RETURN(
      Statement keys,
      database_->Prepare("UPDATE keys SET revoked_us = coalesce(revoked_us, ?) WHERE endpoint = "
                         "(SELECT id FROM endpoints WHERE endpoint_id = ?)"));
  WM_RETURN_IF_ERROR(keys.Bind(Column(now)).Bind(endpoint.view()).Run());
  WM_RETURN_IF_ERROR(EndSightings(endpoint, now));
  WM_RETURN_IF_ERROR(AddChange(*database_, OfEndpoint(endpoint, now)));
  return transaction.Commit();
}

// What a revoked endpoint had is no part of what is there now. Its rows end here, once, instead of
// every list and count looking at the state of endpoints; no batch of it opens one again. An
// endpoint's clock that went before may have begun a row later than now.
Status SqliteStore::EndSightings(const model::Id& endpoint, base::WallTime now) {
  WM_ASSIGN_OR_RETURN(
      Statement end,
      database_->Prepare("UPDATE sightings SET gone_us = max(first_seen_us, ?) WHERE endpoint = "
                         "(SELECT id FROM endpoints WHERE endpoint_id = ?) AND gone_us IS NULL"));
  return end.Bind(Column(now)).Bind(endpoint.view()).Run();
}

Result<std::vector<BatchOutcome>> SqliteStore::CommitBatches(std::span<const BatchWrite> batches,
                                                             const FindingRules& rules) {
  auto together = CommitTogether(batches, rules);
  if (together.has_value() || IsOfTheStore(together.error())) return together;
  return CommitApart(batches, rules);
}

Result<std::vector<BatchOutcome>> SqliteStore::CommitTogether(std::span<const BatchWrite> batches,
                                                              const FindingRules& rules) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  BatchWriter writer(*database_, rules);
  std::vector<BatchOutcome> outcomes;
  outcomes.reserve(batches.size());
  for (const BatchWrite& batch : batches) {
    WM_ASSIGN_OR_RETURN(BatchOutcome outcome, writer.Write(batch));
    outcomes.push_back(std::move(outcome));
  }
  WM_RETURN_IF_ERROR(writer.Flush());
  WM_RETURN_IF_ERROR(transaction.Commit());
  return outcomes;
}

Result<std::vector<BatchOutcome>> SqliteStore::CommitApart(std::span<const BatchWrite> batches,
                                                           const FindingRules& rules) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  BatchWriter writer(*database_, rules);
  std::vector<BatchOutcome> outcomes;
  outcomes.reserve(batches.size());
  for (const BatchWrite& batch : batches) {
    WM_ASSIGN_OR_RETURN(BatchOutcome outcome, CommitOne(writer, batch));
    outcomes.push_back(std::move(outcome));
  }
  WM_RETURN_IF_ERROR(transaction.Commit());
  return outcomes;
}

// A savepoint a batch: what cannot be stored of one is taken back and refused without the others.
Result<BatchOutcome> SqliteStore::CommitOne(BatchWriter& writer, const BatchWrite& batch) {
  WM_RETURN_IF_ERROR(database_->Execute("SAVEPOINT batch"));
  Result<BatchOutcome> outcome = writer.Write(batch);
  if (outcome.has_value()) {
    const Status flushed = writer.Flush();
    if (!flushed.has_value()) outcome = flushed.error();
  }
  if (outcome.has_value()) {
    WM_RETURN_IF_ERROR(database_->Execute("RELEASE batch"));
    return outcome;
  }
  if (IsOfTheStore(outcome.error())) return outcome;
  WM_RETURN_IF_ERROR(database_->Execute("ROLLBACK TO batch"));
  writer.Forget();
  WM_RETURN_IF_ERROR(database_->Execute("RELEASE batch"));
  BatchOutcome refused;
  refused.detail = "the batch cannot be stored: " + outcome.error().message();
  return refused;
}

Status SqliteStore::UpdateFinding(const Scope& scope, std::uint64_t id,
                                  const FindingComment& comment) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  WM_RETURN_IF_ERROR(CommentFinding(*database_, scope, id, comment));
  return transaction.Commit();
}

Status SqliteStore::RecordFindings(std::span<const FindingChange> changes) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  for (const FindingChange& change : changes) {
    WM_RETURN_IF_ERROR(ApplyFinding(*database_, change));
  }
  return transaction.Commit();
}

Status SqliteStore::RecordContacts(std::span<const Contact> contacts) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database_->Prepare("UPDATE endpoints SET last_contact_us = ?, clock_offset_us = ?, "
                         "hostname = ?, os = ?, os_release = ?, agent_version = ? "
                         "WHERE endpoint_id = ?"));
  for (const Contact& contact : contacts) {
    WM_RETURN_IF_ERROR(put.Bind(Column(contact.at))
                           .Bind(contact.clock_offset.count())
                           .Bind(contact.machine.hostname)
                           .Bind(contact.machine.os)
                           .Bind(contact.machine.os_release)
                           .Bind(contact.machine.agent_version)
                           .Bind(contact.endpoint.view())
                           .Run());
  }
  return transaction.Commit();
}

Status SqliteStore::Publish(const NewBundle& bundle) {
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  const model::Sha256 manifest_sha256 = openssl::Sha256Of(base::AsBytes(bundle.document.bytes));
  {
    WM_ASSIGN_OR_RETURN(
        Statement find,
        database_->Prepare("SELECT newest_policy, floor, (SELECT manifest_sha256 FROM bundles "
                           "WHERE version = ?) FROM fleet"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Column(bundle.manifest.version)).Step());
    if (!found) return base::FailedPrecondition("this store belongs to no fleet yet");
    if (std::ranges::equal(find.Blob(2), manifest_sha256.view())) return {};
    if (bundle.manifest.version <= Number(find, 0)) {
      return base::FailedPrecondition(
          "policy " + std::to_string(bundle.manifest.version) + " is not above the newest, " +
          std::to_string(Number(find, 0)) + "; give it a higher version and sign it again");
    }
    if (bundle.manifest.version - Number(find, 0) > base::limits::kMaxPolicyVersionStep) {
      return base::FailedPrecondition(
          "policy " + std::to_string(bundle.manifest.version) + " is more than " +
          std::to_string(base::limits::kMaxPolicyVersionStep) + " above the newest, " +
          std::to_string(Number(find, 0)) + "; sign it again with the next version");
    }
    if (!find.IsNull(2)) {
      return base::FailedPrecondition(
          "another policy " + std::to_string(bundle.manifest.version) +
          " was published before; sign this one again with a higher version");
    }
    if (bundle.manifest.floor < Number(find, 1)) {
      return base::FailedPrecondition("the floor would sink from " +
                                      std::to_string(Number(find, 1)) + " to " +
                                      std::to_string(bundle.manifest.floor) +
                                      "; sign the policy with a floor that is not lower");
    }
  }
  for (const BundlePart& part : bundle.parts) WM_RETURN_IF_ERROR(AddPart(part));
  WM_RETURN_IF_ERROR(CheckParts(bundle.manifest));
  {
    v1::SignedBundle message;
    wire::ToProto(bundle.document, message);
    const std::string bytes = message.SerializeAsString();
    WM_ASSIGN_OR_RETURN(
        Statement add,
        database_->Prepare("INSERT INTO bundles (version, signed_bundle, manifest_sha256, floor, "
                           "document, published_us, publisher_id, publisher) "
                           "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
    WM_RETURN_IF_ERROR(add.Bind(Column(bundle.manifest.version))
                           .Bind(base::AsBytes(bytes))
                           .Bind(manifest_sha256.view())
                           .Bind(Column(bundle.manifest.floor))
                           .Bind(bundle.text)
                           .Bind(Column(bundle.published))
                           .Bind(TokenColumn(bundle.publisher))
                           .Bind(NameColumn(bundle.publisher))
                           .Run());
  }
  Change change;
  change.topic = ChangeTopic::kPolicy;
  change.time = bundle.published;
  change.number = bundle.manifest.version;
  WM_RETURN_IF_ERROR(AddChange(*database_, change));
  {
    WM_ASSIGN_OR_RETURN(Statement advance,
                        database_->Prepare("UPDATE fleet SET newest_policy = ?, floor = ?"));
    WM_RETURN_IF_ERROR(
        advance.Bind(Column(bundle.manifest.version)).Bind(Column(bundle.manifest.floor)).Run());
  }
  return transaction.Commit();
}

Status SqliteStore::PublishExceptions(const Scope& scope, const ExceptionSetRecord& exceptions) {
  const model::ExceptionSet& set = exceptions.set;
  if (!set.endpoint && !scope.is_whole_fleet()) {
    return base::PermissionDenied(
        "exceptions of the whole fleet are not this token's to publish: "
        "its scope is " +
        scope.ToText());
  }
  WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_));
  if (set.endpoint) WM_RETURN_IF_ERROR(CheckInScope(scope, *set.endpoint));
  v1::SignedExceptions message;
  wire::ToProto(exceptions.document, message);
  const std::string bytes = message.SerializeAsString();
  const base::ByteView whose = set.endpoint ? set.endpoint->view() : base::ByteView();
  {
    WM_ASSIGN_OR_RETURN(Statement find,
                        database_->Prepare("SELECT version, signed_exceptions FROM exception_sets "
                                           "WHERE scope = ? ORDER BY version DESC LIMIT 1"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(whose).Step());
    const std::uint64_t newest = found ? Number(find, 0) : 0;
    if (found && newest == set.version && base::AsText(find.Blob(1)) == bytes) return {};
    if (set.version != newest + 1) {
      return base::Error(base::ErrorCode::kAborted,
                         "the newest exceptions have version " + std::to_string(newest) +
                             ", and these would be version " + std::to_string(set.version) +
                             "; read them again and sign what comes after them");
    }
  }
  {
    WM_ASSIGN_OR_RETURN(
        Statement add,
        database_->Prepare("INSERT INTO exception_sets (scope, version, signed_exceptions, "
                           "published_us, publisher_id, publisher) VALUES (?, ?, ?, ?, ?, ?)"));
    WM_RETURN_IF_ERROR(add.Bind(whose)
                           .Bind(Column(set.version))
                           .Bind(base::AsBytes(bytes))
                           .Bind(Column(exceptions.published))
                           .Bind(TokenColumn(exceptions.publisher))
                           .Bind(NameColumn(exceptions.publisher))
                           .Run());
  }
  WM_RETURN_IF_ERROR(PutExceptions(*database_, exceptions));
  Change change;
  change.topic = ChangeTopic::kExceptions;
  change.time = exceptions.published;
  change.endpoint = set.endpoint;
  change.number = set.version;
  WM_RETURN_IF_ERROR(AddChange(*database_, change));
  return transaction.Commit();
}

Status SqliteStore::AddPart(const BundlePart& part) {
  {
    WM_ASSIGN_OR_RETURN(Statement add,
                        database_->Prepare("INSERT INTO parts (sha256, kind, size_bytes) "
                                           "VALUES (?, ?, ?) ON CONFLICT (sha256) DO NOTHING"));
    WM_RETURN_IF_ERROR(add.Bind(part.reference.sha256.view())
                           .Bind(EnumColumn(part.reference.kind))
                           .Bind(Column(part.content.size()))
                           .Run());
    if (database_->Changes() == 0) return {};
  }
  const std::int64_t id = database_->LastInsertId();
  WM_ASSIGN_OR_RETURN(
      Statement add,
      database_->Prepare("INSERT INTO part_pieces (part, piece, data) VALUES (?, ?, ?)"));
  const std::string_view content = part.content;
  for (std::size_t offset = 0; offset < content.size(); offset += base::limits::kPartChunkBytes) {
    WM_RETURN_IF_ERROR(
        add.Bind(id)
            .Bind(Column(offset / base::limits::kPartChunkBytes))
            .Bind(base::AsBytes(content.substr(offset, base::limits::kPartChunkBytes)))
            .Run());
  }
  return {};
}

Status SqliteStore::CheckParts(const wire::BundleManifest& manifest) {
  for (const wire::PartReference& part : manifest.parts) {
    WM_ASSIGN_OR_RETURN(Statement look, database_->Prepare("SELECT 1 FROM parts WHERE sha256 = ? "
                                                           "AND size_bytes = ?"));
    WM_ASSIGN_OR_RETURN(const bool there,
                        look.Bind(part.sha256.view()).Bind(Column(part.size_bytes)).Step());
    if (!there) {
      return base::FailedPrecondition("the part " + part.sha256.ToHex() +
                                      " is not here; publish it with the policy");
    }
  }
  return {};
}

}  // namespace weighmaster::server::store
