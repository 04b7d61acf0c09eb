#include "server/store/sqlite/sqlite_queries.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "proto/wire/exceptions.h"
#include "server/store/sqlite/evidence_rows.h"
#include "server/store/sqlite/list_keys.h"
#include "server/store/sqlite/list_tables.h"
#include "server/store/sqlite/rows.h"
#include "server/store/sqlite/sightings_table.h"
#include "server/store/sqlite/work_tables.h"
#include "weighmaster/v1/exceptions.pb.h"
#include "weighmaster/v1/trust.pb.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using base::Status;
using sqlite::Statement;

template <typename Message>
Result<Message> ParseColumn(const Statement& row, int column, std::string_view what) {
  Message message;
  const base::ByteView bytes = row.Blob(column);
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::DataLoss("the store holds a " + std::string(what) + " that cannot be read");
  }
  return message;
}

constexpr std::string_view kSightingRow =
    "SELECT e.endpoint_id, e.hostname, s.path, s.path_encoding, s.sighting, s.first_seen_us, "
    "s.last_change_us, s.gone_us, " WM_VERDICT_AT(
        WM_LAST_MOMENT, "verdict") " FROM " WM_SIGHTINGS_AND_VERDICTS
                                   " JOIN endpoints e ON e.id = s.endpoint WHERE s.id = ?1";
// As it was at ?2: not gone yet.
constexpr std::string_view kPastSightingRow =
    "SELECT e.endpoint_id, e.hostname, s.path, s.path_encoding, s.sighting, s.first_seen_us, "
    "s.last_change_us, NULL, " WM_VERDICT_AT(
        "?2", "verdict") " FROM " WM_SIGHTINGS_AND_VERDICTS
                         " JOIN endpoints e ON e.id = s.endpoint WHERE s.id = ?1";
constexpr std::string_view kFindingRow =
    "SELECT f.id, f.rule, e.endpoint_id, e.hostname, f.subject, f.severity, f.state, "
    "f.detail, f.first_us, f.last_us, f.count FROM findings f "
    "JOIN endpoints e ON e.id = f.endpoint WHERE f.id = ?";
constexpr std::string_view kArtifactRow =
    "SELECT a.sha256, count(s.id) FILTER (WHERE s.gone_us IS NULL), "
    "count(DISTINCT s.endpoint) FILTER (WHERE s.gone_us IS NULL), min(s.first_seen_us), "
    "o.format, o.name, o.license, o.size_bytes FROM artifacts a "
    "LEFT JOIN sightings s ON s.artifact = a.id "
    "LEFT JOIN sightings o ON o.id = (SELECT id FROM sightings WHERE artifact = ?1 "
    "ORDER BY gone_us, id LIMIT 1) WHERE a.id = ?1";
constexpr std::string_view kEventRow =
    "SELECT c.chain_id, v.number, v.kind, v.wall_us, a.sha256, v.body FROM events v "
    "JOIN chains c ON c.id = v.chain LEFT JOIN artifacts a ON a.id = v.artifact "
    "WHERE v.chain = (?1 >> 40) AND v.number = (?1 & 1099511627775)";
constexpr std::string_view kPolicyRow =
    "SELECT version, published_us, floor, manifest_sha256, (SELECT count(*) FROM endpoints "
    "WHERE policy_version = version AND state <> 2), publisher_id, publisher FROM bundles "
    "WHERE version = ?";
// An endpoint is looked at when each of its roots is; a pseudo file system (reason 4) holds no
// models and does not count against it.
constexpr std::string_view kCoverageNow =
    "SELECT (SELECT count(*) FROM endpoints WHERE state <> 2), coalesce(sum(worst = 1), 0), "
    "coalesce(sum(worst > 1 AND best < 3), 0) FROM "
    "(SELECT max(c.state) AS worst, min(c.state) AS best FROM coverage c "
    "JOIN endpoints e ON e.id = c.endpoint "
    "WHERE e.state <> 2 AND c.reason <> 4 GROUP BY c.endpoint)";
// At ?1. What is said of a root takes the place of what was said before, which is not kept: of a
// root that was spoken of since, nothing is known.
#define WM_THERE_THEN "enrolled_us <= ?1 AND (revoked_us IS NULL OR revoked_us > ?1)"
constexpr std::string_view kCoverageAt =
    "SELECT (SELECT count(*) FROM endpoints WHERE " WM_THERE_THEN
    "), coalesce(sum(worst = 1), 0), coalesce(sum(worst > 1 AND best < 3), 0) FROM "
    "(SELECT max(CASE WHEN changed_us > ?1 THEN 3 ELSE state END) AS worst, "
    "min(CASE WHEN changed_us > ?1 THEN 3 ELSE state END) AS best FROM coverage "
    "WHERE reason <> 4 AND endpoint IN (SELECT id FROM endpoints WHERE " WM_THERE_THEN
    ") GROUP BY endpoint)";
#undef WM_THERE_THEN
#define WM_ENDPOINT_COLUMNS                                                               \
  "SELECT id, endpoint_id, state, hostname, os, os_release, agent_version, enrolled_us, " \
  "last_contact_us, clock_offset_us, policy_version FROM endpoints "
#define WM_ADMIN_TOKEN_COLUMNS                                                                  \
  "SELECT id, token_id, secret_sha256, name, role, scope, created_us, created_by, expires_us, " \
  "revoked_us FROM admin_tokens "

Result<SightingRow> ReadSighting(const Statement& row) {
  SightingRow sighting;
  WM_ASSIGN_OR_RETURN(sighting.endpoint, Stored(model::IdFromBytes(row.Blob(0)), "endpoint id"));
  sighting.hostname = row.Text(1);
  WM_ASSIGN_OR_RETURN(sighting.sighting, ReadSightingBlob(row.Blob(4), Chars(row, 2), row.Int(3)));
  sighting.first_seen = Time(row, 5);
  sighting.last_change = Time(row, 6);
  sighting.gone = MaybeTime(row, 7);
  if (!row.IsNull(8)) {
    WM_ASSIGN_OR_RETURN(const auto verdict, ParseColumn<v1::Verdict>(row, 8, "verdict"));
    WM_ASSIGN_OR_RETURN(sighting.verdict, Stored(wire::FromProto(verdict), "verdict"));
  }
  return sighting;
}

Result<ArtifactRow> ReadArtifact(const Statement& row) {
  ArtifactRow artifact;
  WM_ASSIGN_OR_RETURN(artifact.sha256, Stored(model::Sha256FromBytes(row.Blob(0)), "digest"));
  artifact.places = Number(row, 1);
  artifact.endpoints = Number(row, 2);
  artifact.first_seen = MaybeTime(row, 3);
  if (row.IsNull(4)) return artifact;
  artifact.format = static_cast<model::Format>(row.Int(4));
  artifact.name = row.Text(5);
  artifact.license = row.Text(6);
  artifact.size_bytes = Number(row, 7);
  return artifact;
}

Result<EventRow> ReadEvent(const Statement& row) {
  EventRow event;
  WM_ASSIGN_OR_RETURN(event.chain, Stored(model::IdFromBytes(row.Blob(0)), "chain id"));
  event.number = Number(row, 1);
  event.kind = static_cast<std::uint32_t>(row.Int(2));
  event.wall = MaybeTime(row, 3);
  if (!row.IsNull(4)) {
    WM_ASSIGN_OR_RETURN(event.sha256, Stored(model::Sha256FromBytes(row.Blob(4)), "digest"));
  }
  event.body = Chars(row, 5);
  return event;
}

// Of two columns: the token's id and its name.
Result<std::optional<Actor>> ReadActor(const Statement& row, int column) {
  if (row.Blob(column).empty()) return std::optional<Actor>();
  WM_ASSIGN_OR_RETURN(const auto id, Stored(model::IdFromBytes(row.Blob(column)), "token id"));
  return std::optional(Actor{id, row.Text(column + 1)});
}

Result<PolicyRow> ReadPolicy(const Statement& row) {
  PolicyRow policy;
  policy.version = Number(row, 0);
  policy.published = Time(row, 1);
  policy.floor = Number(row, 2);
  WM_ASSIGN_OR_RETURN(policy.manifest_sha256,
                      Stored(model::Sha256FromBytes(row.Blob(3)), "digest"));
  policy.endpoints_in_force = Number(row, 4);
  WM_ASSIGN_OR_RETURN(policy.publisher, ReadActor(row, 5));
  return policy;
}

Result<FindingRow> ReadFinding(const Statement& row) {
  FindingRow finding;
  finding.id = Number(row, 0);
  finding.rule = row.Text(1);
  WM_ASSIGN_OR_RETURN(finding.endpoint, Stored(model::IdFromBytes(row.Blob(2)), "endpoint id"));
  finding.hostname = row.Text(3);
  finding.subject = row.Text(4);
  finding.severity = static_cast<model::Severity>(row.Int(5));
  finding.state = static_cast<FindingState>(row.Int(6));
  finding.detail = row.Text(7);
  finding.first = Time(row, 8);
  finding.last = Time(row, 9);
  finding.count = Number(row, 10);
  return finding;
}

Result<EndpointRow> ReadEndpoint(const Statement& row) {
  EndpointRow endpoint;
  WM_ASSIGN_OR_RETURN(endpoint.id, Stored(model::IdFromBytes(row.Blob(1)), "endpoint id"));
  endpoint.state = static_cast<EndpointState>(row.Int(2));
  endpoint.machine.hostname = row.Text(3);
  endpoint.machine.os = row.Text(4);
  endpoint.machine.os_release = row.Text(5);
  endpoint.machine.agent_version = row.Text(6);
  endpoint.enrolled = Time(row, 7);
  endpoint.last_contact = MaybeTime(row, 8);
  endpoint.clock_offset = base::Duration(row.Int(9));
  endpoint.policy_version = Number(row, 10);
  return endpoint;
}

Result<FleetCoverage> ReadFleetCoverage(Statement& count) {
  WM_RETURN_IF_ERROR(count.Step());
  FleetCoverage coverage;
  coverage.endpoints = Number(count, 0);
  coverage.looked = Number(count, 1);
  coverage.partly = Number(count, 2);
  coverage.none = coverage.endpoints - coverage.looked - coverage.partly;
  return coverage;
}

Result<AdminTokenRecord> ReadAdminToken(const Statement& row) {
  AdminTokenRecord token;
  WM_ASSIGN_OR_RETURN(token.id, Stored(model::IdFromBytes(row.Blob(1)), "token id"));
  WM_ASSIGN_OR_RETURN(token.secret_sha256, Stored(model::Sha256FromBytes(row.Blob(2)), "digest"));
  token.name = row.Text(3);
  const std::int64_t role = row.Int(4);
  if (role < 1 || role > kAdminRoles) {
    return base::DataLoss("the store holds a token with the role " + std::to_string(role));
  }
  token.role = static_cast<AdminRole>(role);
  token.scope = row.Text(5);
  token.created = Time(row, 6);
  if (!row.IsNull(7)) {
    WM_ASSIGN_OR_RETURN(token.created_by, Stored(model::IdFromBytes(row.Blob(7)), "token id"));
  }
  token.expires = MaybeTime(row, 8);
  token.revoked = MaybeTime(row, 9);
  return token;
}

Result<AuditEntry> ReadAuditEntry(const Statement& row) {
  AuditEntry entry;
  entry.row.number = Number(row, 0);
  entry.row.time = Time(row, 1);
  WM_ASSIGN_OR_RETURN(entry.row.token_id, Stored(model::IdFromBytes(row.Blob(2)), "token id"));
  entry.row.token_name = row.Text(3);
  entry.row.method = row.Text(4);
  entry.row.outcome = static_cast<wire::AuditOutcome>(row.Int(5));
  entry.row.begun_number = Number(row, 6);
  entry.row.code = static_cast<std::uint32_t>(row.Int(7));
  entry.row.summary = row.Text(8);
  WM_ASSIGN_OR_RETURN(entry.digest, Stored(model::Sha256FromBytes(row.Blob(9)), "digest"));
  return entry;
}

Result<ExceptionSetRecord> ReadExceptionSet(const Statement& row) {
  ExceptionSetRecord record;
  WM_ASSIGN_OR_RETURN(const auto message, ParseColumn<v1::SignedExceptions>(row, 1, "exceptions"));
  WM_ASSIGN_OR_RETURN(record.document, Stored(wire::FromProto(message), "exceptions"));
  WM_ASSIGN_OR_RETURN(record.set,
                      Stored(wire::ParseExceptions(record.document.bytes), "exceptions"));
  record.published = Time(row, 2);
  WM_ASSIGN_OR_RETURN(record.publisher, ReadActor(row, 3));
  return record;
}

// The rows of the keys, one by one: `sql` takes a key, and perhaps a moment.
template <typename Row>
Status ReadRows(sqlite::Database& database, const ListKeys& keys, std::string_view sql,
                Result<Row> (*read)(const Statement&), std::optional<base::WallTime> moment,
                Page<Row>& page) {
  for (const std::int64_t key : keys.keys) {
    WM_ASSIGN_OR_RETURN(Statement find, database.Prepare(sql));
    find.Bind(key);
    if (moment.has_value()) find.Bind(Column(*moment));
    WM_ASSIGN_OR_RETURN(const bool found, find.Step());
    if (!found) return base::DataLoss("the store's indices and its rows disagree");
    WM_ASSIGN_OR_RETURN(Row row, read(find));
    page.rows.push_back(std::move(row));
  }
  page.next = keys.next;
  page.total = keys.total;
  page.total_is_least = keys.total_is_least;
  return {};
}

}  // namespace

class SqliteQueries::Snapshot {
 public:
  static Result<Snapshot> Begin(sqlite::Database& database) {
    WM_RETURN_IF_ERROR(database.Execute("BEGIN"));
    return Snapshot(database);
  }
  Snapshot(Snapshot&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Snapshot& operator=(Snapshot&&) = delete;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() {
    if (database_ != nullptr && database_->in_transaction()) {
      static_cast<void>(database_->Execute("COMMIT"));
    }
  }

 private:
  explicit Snapshot(sqlite::Database& database) : database_(&database) {}
  sqlite::Database* database_;
};

Result<FleetRecord> SqliteQueries::Fleet() {
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_.Prepare("SELECT fleet_id, lineage_id, newest_policy, floor FROM fleet"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Step());
  if (!found) return base::NotFound("this store belongs to no fleet yet");
  FleetRecord fleet;
  fleet.fleet_id = find.Text(0);
  WM_ASSIGN_OR_RETURN(fleet.lineage, Stored(model::IdFromBytes(find.Blob(1)), "lineage id"));
  fleet.newest_policy = Number(find, 2);
  fleet.floor = Number(find, 3);
  return fleet;
}

Result<std::vector<wire::SignedDocument>> SqliteQueries::Roots() {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_.Prepare("SELECT signed_root FROM roots ORDER BY version"));
  std::vector<wire::SignedDocument> roots;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, find.Step());
    if (!more) return roots;
    WM_ASSIGN_OR_RETURN(const auto message, ParseColumn<v1::SignedRoot>(find, 0, "root document"));
    WM_ASSIGN_OR_RETURN(auto document, Stored(wire::FromProto(message), "root document"));
    roots.push_back(std::move(document));
  }
}

Result<EndpointIdentity> SqliteQueries::FindEndpoint(const model::Id& id) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_.Prepare("SELECT e.state, e.policy_version, k.spki FROM endpoints e "
                                        "JOIN keys k ON k.endpoint = e.id WHERE e.endpoint_id = ? "
                                        "ORDER BY k.id DESC LIMIT 1"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(id.view()).Step());
  if (!found) return base::NotFound("there is no endpoint " + id.ToHex());
  WM_ASSIGN_OR_RETURN(auto key, Stored(openssl::PublicKey::FromSpki(find.Blob(2)), "public key"));
  return EndpointIdentity{id, static_cast<EndpointState>(find.Int(0)), std::move(key),
                          Number(find, 1)};
}

Result<ChainHead> SqliteQueries::FindChain(const model::Id& endpoint, const model::Id& chain) {
  ChainHead head;
  head.chain = chain;
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_.Prepare("SELECT c.next_number, c.head_digest FROM chains c "
                                        "JOIN endpoints e ON e.id = c.endpoint "
                                        "WHERE c.chain_id = ? AND e.endpoint_id = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(chain.view()).Bind(endpoint.view()).Step());
  if (!found) return head;
  head.number = Number(find, 0) - 1;
  WM_ASSIGN_OR_RETURN(head.digest, Stored(model::Sha256FromBytes(find.Blob(1)), "digest"));
  return head;
}

Result<AdminTokenRecord> SqliteQueries::FindAdminToken(const model::Sha256& secret_sha256) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_.Prepare(WM_ADMIN_TOKEN_COLUMNS "WHERE secret_sha256 = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(secret_sha256.view()).Step());
  if (!found) return base::NotFound("there is no such administrator's token");
  return ReadAdminToken(find);
}

Result<Page<AdminTokenRecord>> SqliteQueries::ListAdminTokens(const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, AdminTokenTable(), {}, query));
  Page<AdminTokenRecord> page;
  WM_RETURN_IF_ERROR(ReadRows(database_, keys, WM_ADMIN_TOKEN_COLUMNS "WHERE id = ?",
                              ReadAdminToken, std::nullopt, page));
  return page;
}

Result<Page<AuditEntry>> SqliteQueries::ListAuditEntries(const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, AuditTable(), {}, query));
  Page<AuditEntry> page;
  WM_RETURN_IF_ERROR(ReadRows(database_, keys,
                              "SELECT number, time_us, token_id, token_name, method, outcome, "
                              "begun_number, code, summary, sha256 FROM audit WHERE number = ?",
                              ReadAuditEntry, std::nullopt, page));
  return page;
}

Result<StoredBundle> SqliteQueries::FindBundle(std::uint64_t version) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  StoredBundle bundle;
  {
    WM_ASSIGN_OR_RETURN(
        Statement find,
        database_.Prepare(
            "SELECT version, signed_bundle, manifest_sha256, document, published_us, "
            "publisher_id, publisher FROM bundles WHERE version = ?1 OR (?1 = 0 AND version = "
            "(SELECT newest_policy FROM fleet))"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Column(version)).Step());
    if (!found) {
      return base::NotFound(version == 0 ? "no policy has been published yet"
                                         : "there is no policy " + std::to_string(version));
    }
    bundle.version = Number(find, 0);
    WM_ASSIGN_OR_RETURN(const auto message, ParseColumn<v1::SignedBundle>(find, 1, "bundle"));
    WM_ASSIGN_OR_RETURN(bundle.document, Stored(wire::FromProto(message), "bundle"));
    WM_ASSIGN_OR_RETURN(bundle.manifest_sha256,
                        Stored(model::Sha256FromBytes(find.Blob(2)), "digest"));
    bundle.text = find.Text(3);
    bundle.published = Time(find, 4);
    WM_ASSIGN_OR_RETURN(bundle.publisher, ReadActor(find, 5));
  }
  WM_ASSIGN_OR_RETURN(Statement count,
                      database_.Prepare("SELECT count(*), coalesce(sum(policy_version = ?), 0) "
                                        "FROM endpoints WHERE state <> 2"));
  WM_RETURN_IF_ERROR(count.Bind(Column(bundle.version)).Step());
  bundle.endpoints_total = Number(count, 0);
  bundle.endpoints_in_force = Number(count, 1);
  return bundle;
}

Result<ExceptionSetRecord> SqliteQueries::FindExceptions(const std::optional<model::Id>& endpoint) {
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_.Prepare(
          "SELECT id, signed_exceptions, published_us, publisher_id, publisher FROM exception_sets "
          "WHERE scope = ? ORDER BY version DESC LIMIT 1"));
  const base::ByteView scope = endpoint ? endpoint->view() : base::ByteView();
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(scope).Step());
  if (!found) return base::NotFound("there are no exceptions");
  return ReadExceptionSet(find);
}

Result<EndpointEvidence> SqliteQueries::FindEvidence(const model::Id& endpoint,
                                                     const BatchRange& range) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  WM_ASSIGN_OR_RETURN(const std::int64_t number, EndpointNumber(endpoint));
  return ReadEvidence(database_, number, range);
}

Result<BatchPage> SqliteQueries::ListBatches(const BatchQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  WM_ASSIGN_OR_RETURN(const std::int64_t endpoint, EndpointNumber(query.endpoint));
  return ReadBatches(database_, endpoint, query);
}

Result<Page<ExceptionSetRecord>> SqliteQueries::ListExceptionSets(const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  ListScope scope;
  scope.where = "x.version = (SELECT max(version) FROM exception_sets n WHERE n.scope = x.scope)";
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, ExceptionTable(), scope, query));
  Page<ExceptionSetRecord> sets;
  WM_RETURN_IF_ERROR(ReadRows(
      database_, keys,
      "SELECT id, signed_exceptions, published_us, publisher_id, publisher FROM exception_sets "
      "WHERE id = ?",
      ReadExceptionSet, std::nullopt, sets));
  return sets;
}

Result<bool> SqliteQueries::HasPart(const model::Sha256& sha256) {
  WM_ASSIGN_OR_RETURN(Statement find, database_.Prepare("SELECT 1 FROM parts WHERE sha256 = ?"));
  return find.Bind(sha256.view()).Step();
}

Result<PartPiece> SqliteQueries::ReadPart(const model::Sha256& sha256, std::uint64_t offset) {
  constexpr std::uint64_t kPieceBytes = base::limits::kPartChunkBytes;
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_.Prepare("SELECT p.size_bytes, d.data FROM parts p LEFT JOIN part_pieces d "
                        "ON d.part = p.id AND d.piece = ? WHERE p.sha256 = ?"));
  WM_ASSIGN_OR_RETURN(const bool found,
                      find.Bind(Column(offset / kPieceBytes)).Bind(sha256.view()).Step());
  if (!found) return base::NotFound("there is no part " + sha256.ToHex());
  PartPiece piece;
  piece.total_bytes = Number(find, 0);
  if (offset > piece.total_bytes) {
    return base::OutOfRange("the part ends at " + std::to_string(piece.total_bytes));
  }
  const std::string_view data = Chars(find, 1);
  piece.data = data.substr(std::min<std::size_t>(offset % kPieceBytes, data.size()));
  return piece;
}

Result<Page<EndpointRow>> SqliteQueries::ListEndpoints(const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, EndpointTable(), {}, query));
  Page<EndpointRow> page;
  WM_RETURN_IF_ERROR(ReadRows(database_, keys, WM_ENDPOINT_COLUMNS "WHERE id = ?", ReadEndpoint,
                              std::nullopt, page));
  for (std::size_t i = 0; i < page.rows.size(); ++i) {
    WM_RETURN_IF_ERROR(CompleteEndpoint(keys.keys[i], page.rows[i]));
  }
  return page;
}

Result<EndpointRow> SqliteQueries::GetEndpoint(const model::Id& id) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  EndpointRow row;
  std::int64_t key = 0;
  {
    WM_ASSIGN_OR_RETURN(Statement find,
                        database_.Prepare(WM_ENDPOINT_COLUMNS "WHERE endpoint_id = ?"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(id.view()).Step());
    if (!found) return base::NotFound("there is no endpoint " + id.ToHex());
    WM_ASSIGN_OR_RETURN(row, ReadEndpoint(find));
    key = find.Int(0);
  }
  WM_RETURN_IF_ERROR(CompleteEndpoint(key, row));
  return row;
}

Status SqliteQueries::CompleteEndpoint(std::int64_t endpoint, EndpointRow& row) {
  WM_RETURN_IF_ERROR(ReadKeyAndRevocation(endpoint, row));
  {
    WM_ASSIGN_OR_RETURN(
        Statement count,
        database_.Prepare(
            "SELECT (SELECT count(*) FROM sightings WHERE endpoint = ?1 AND gone_us IS NULL), "
            "count(*) FILTER (WHERE outcome = 3), count(*) FILTER (WHERE outcome = 2) "
            "FROM sightings WHERE endpoint = ?1 AND gone_us IS NULL AND outcome > 1"));
    WM_RETURN_IF_ERROR(count.Bind(endpoint).Step());
    row.sightings = Number(count, 0);
    row.denied = Number(count, 1);
    row.warned = Number(count, 2);
  }
  {
    WM_ASSIGN_OR_RETURN(
        Statement count,
        database_.Prepare("SELECT coalesce(sum(events_stored), 0), "
                          "coalesce(sum(events_dropped), 0), coalesce(sum(events_unreadable), 0) "
                          "FROM chains WHERE endpoint = ?"));
    WM_RETURN_IF_ERROR(count.Bind(endpoint).Step());
    row.events_stored = Number(count, 0);
    row.events_dropped = Number(count, 1);
    row.events_unreadable = Number(count, 2);
  }
  WM_ASSIGN_OR_RETURN(Statement rows,
                      database_.Prepare("SELECT coverage FROM coverage WHERE endpoint = ?"));
  rows.Bind(endpoint);
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    WM_ASSIGN_OR_RETURN(const auto message, ParseColumn<v1::Coverage>(rows, 0, "coverage"));
    WM_ASSIGN_OR_RETURN(auto coverage, Stored(wire::FromProto(message), "coverage"));
    row.coverage.push_back(std::move(coverage));
  }
}

Status SqliteQueries::ReadKeyAndRevocation(std::int64_t endpoint, EndpointRow& row) {
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_.Prepare("SELECT k.key_id, k.added_us, e.revoked_us, e.revoked_reason FROM "
                        "endpoints e JOIN keys k ON k.endpoint = e.id WHERE e.id = ? "
                        "ORDER BY k.id DESC LIMIT 1"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(endpoint).Step());
  if (!found) return base::DataLoss("the store has an endpoint without a key");
  WM_ASSIGN_OR_RETURN(row.key_sha256, Stored(model::Sha256FromBytes(find.Blob(0)), "key id"));
  row.key_added = Time(find, 1);
  row.revoked = MaybeTime(find, 2);
  row.revoked_reason = find.Text(3);
  return {};
}

Result<std::optional<std::int64_t>> SqliteQueries::SmallNumber(std::string_view sql,
                                                               base::ByteView value) {
  WM_ASSIGN_OR_RETURN(Statement find, database_.Prepare(sql));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(value).Step());
  return found ? std::optional(find.Int(0)) : std::nullopt;
}

Result<SightingPage> SqliteQueries::ListSightings(const SightingQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  SightingPage page;
  WM_ASSIGN_OR_RETURN(page.coverage,
                      query.as_of.has_value() ? CoverageAt(*query.as_of) : CoverageNow());
  ListScope scope;
  if (query.as_of.has_value()) {
    scope.Narrow(Column(*query.as_of),
                 "s.first_seen_us <= $ AND (s.gone_us IS NULL OR s.gone_us > $)");
  } else if (!query.include_gone) {
    scope.where += " AND s.gone_us IS NULL";
  }
  if (query.endpoint.has_value()) {
    WM_ASSIGN_OR_RETURN(const std::int64_t endpoint, EndpointNumber(*query.endpoint));
    scope.Narrow(endpoint, "s.endpoint = $");
  }
  if (query.sha256.has_value()) {
    WM_ASSIGN_OR_RETURN(
        const auto artifact,
        SmallNumber("SELECT id FROM artifacts WHERE sha256 = ?", query.sha256->view()));
    if (!artifact.has_value()) return page;  // seen nowhere, as far as the coverage goes
    scope.Narrow(*artifact, "s.artifact = $");
  }
  if (query.weights.has_value()) {
    WM_ASSIGN_OR_RETURN(const auto weights, SmallNumber("SELECT id FROM weights WHERE digest = ?",
                                                        query.weights->view()));
    if (!weights.has_value()) return page;
    scope.Narrow(*weights, "s.weights = $");
  }
  // The narrowest index of those that are present.
  const bool all_present = !query.include_gone && !query.as_of.has_value() && scope.values.empty();
  scope.count_sql = "SELECT count(*) FROM sightings s " +
                    std::string(all_present ? "INDEXED BY sightings_by_format " : "") + "WHERE " +
                    scope.where;
  const ListTable& table = query.as_of.has_value() ? PastSightingTable()
                           : query.include_gone    ? AllSightingTable()
                                                   : PresentSightingTable();
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, table, scope, query.page));
  WM_RETURN_IF_ERROR(ReadRows(database_, keys,
                              query.as_of.has_value() ? kPastSightingRow : kSightingRow,
                              ReadSighting, query.as_of, page));
  if (!query.sha256.has_value() && !query.weights.has_value()) return page;
  scope.count_sql = "SELECT count(DISTINCT s.endpoint) FROM sightings s WHERE " + scope.where;
  WM_ASSIGN_OR_RETURN(page.endpoints, CountScope(database_, scope));
  page.present = page.total;
  if (!query.include_gone) return page;
  scope.count_sql =
      "SELECT count(*) FROM sightings s WHERE " + scope.where + " AND s.gone_us IS NULL";
  WM_ASSIGN_OR_RETURN(page.present, CountScope(database_, scope));
  return page;
}

Status SqliteQueries::VisitPresent(
    const std::function<base::Status(const PresentSighting&)>& visit) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  return VisitPresentSightings(database_, visit);
}

Result<Page<ArtifactRow>> SqliteQueries::ListArtifacts(const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, ArtifactTable(), {}, query));
  Page<ArtifactRow> page;
  WM_RETURN_IF_ERROR(ReadRows(database_, keys, kArtifactRow, ReadArtifact, std::nullopt, page));
  return page;
}

Result<std::int64_t> SqliteQueries::EndpointNumber(const model::Id& endpoint) {
  WM_ASSIGN_OR_RETURN(
      const auto number,
      SmallNumber("SELECT id FROM endpoints WHERE endpoint_id = ?", endpoint.view()));
  if (!number.has_value()) return base::NotFound("there is no endpoint " + endpoint.ToHex());
  return *number;
}

Result<Page<EventRow>> SqliteQueries::ListEvents(const model::Id& endpoint,
                                                 const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  WM_ASSIGN_OR_RETURN(const std::int64_t number, EndpointNumber(endpoint));
  ListScope scope;
  scope.Narrow(number, "c.endpoint = $");
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, EventTable(), scope, query));
  Page<EventRow> page;
  WM_RETURN_IF_ERROR(ReadRows(database_, keys, kEventRow, ReadEvent, std::nullopt, page));
  return page;
}

Result<VerdictCounts> SqliteQueries::CountVerdicts(const std::optional<model::Id>& endpoint) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  return VerdictsNow(endpoint);
}

Result<store::Statistics> SqliteQueries::Statistics() {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  store::Statistics numbers;
  WM_ASSIGN_OR_RETURN(numbers.verdicts, VerdictsNow(std::nullopt));
  {
    WM_ASSIGN_OR_RETURN(
        Statement rows,
        database_.Prepare("SELECT state, count(*) FROM endpoints GROUP BY state ORDER BY state"));
    while (true) {
      WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) break;
      numbers.endpoints.push_back({static_cast<EndpointState>(rows.Int(0)), Number(rows, 1)});
    }
  }
  {
    WM_ASSIGN_OR_RETURN(Statement rows,
                        database_.Prepare("SELECT state, severity, count(*) FROM findings "
                                          "GROUP BY state, severity ORDER BY state, severity"));
    while (true) {
      WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) break;
      numbers.findings.push_back({static_cast<FindingState>(rows.Int(0)),
                                  static_cast<model::Severity>(rows.Int(1)), Number(rows, 2)});
    }
  }
  WM_ASSIGN_OR_RETURN(
      Statement find,
      database_.Prepare(
          "SELECT newest_policy, (SELECT count(*) FROM endpoints e WHERE e.state <> "
          "2 AND newest_policy > 0 AND e.policy_version = newest_policy) FROM fleet"));
  WM_RETURN_IF_ERROR(find.Step());
  numbers.newest_policy = Number(find, 0);
  numbers.endpoints_in_force = Number(find, 1);
  return numbers;
}

Result<VerdictCounts> SqliteQueries::VerdictsNow(const std::optional<model::Id>& endpoint) {
  ListScope scope;
  scope.where = "s.gone_us IS NULL";
  if (endpoint.has_value()) {
    WM_ASSIGN_OR_RETURN(const std::int64_t number, EndpointNumber(*endpoint));
    scope.Narrow(number, "s.endpoint = $");
  }
  VerdictCounts counts;
  const auto count = [&](std::string_view outcome) {
    scope.count_sql = "SELECT count(*) FROM sightings s WHERE " + scope.where + " AND s.outcome " +
                      std::string(outcome);
    return CountScope(database_, scope);
  };
  WM_ASSIGN_OR_RETURN(counts.allow, count("= 1"));
  WM_ASSIGN_OR_RETURN(counts.warn, count("= 2"));
  WM_ASSIGN_OR_RETURN(counts.deny, count("= 3"));
  WM_ASSIGN_OR_RETURN(counts.pending, count("IS NULL"));
  WM_ASSIGN_OR_RETURN(counts.coverage, CoverageNow());
  return counts;
}

Result<Page<PolicyRow>> SqliteQueries::ListPolicies(const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, PolicyTable(), {}, query));
  Page<PolicyRow> page;
  WM_RETURN_IF_ERROR(ReadRows(database_, keys, kPolicyRow, ReadPolicy, std::nullopt, page));
  return page;
}

Result<FleetCoverage> SqliteQueries::Coverage() {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  return CoverageNow();
}

Result<FleetCoverage> SqliteQueries::CoverageNow() {
  WM_ASSIGN_OR_RETURN(Statement count, database_.Prepare(kCoverageNow));
  return ReadFleetCoverage(count);
}

Result<FleetCoverage> SqliteQueries::CoverageAt(base::WallTime moment) {
  WM_ASSIGN_OR_RETURN(Statement count, database_.Prepare(kCoverageAt));
  count.Bind(Column(moment));
  return ReadFleetCoverage(count);
}

Result<Page<FindingRow>> SqliteQueries::ListFindings(bool include_resolved,
                                                     const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  ListScope scope;
  scope.count_sql = "SELECT count(*) FROM findings";
  if (!include_resolved) {
    scope.where = "f.resolved_us IS NULL";
    scope.count_sql += " WHERE resolved_us IS NULL";
  }
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(database_, FindingTable(), scope, query));
  Page<FindingRow> page;
  WM_RETURN_IF_ERROR(ReadRows(database_, keys, kFindingRow, ReadFinding, std::nullopt, page));
  return page;
}

Result<FindingDetails> SqliteQueries::GetFinding(std::uint64_t id) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  FindingDetails details;
  {
    WM_ASSIGN_OR_RETURN(Statement find, database_.Prepare(kFindingRow));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Column(id)).Step());
    if (!found) return base::NotFound("there is no finding " + std::to_string(id));
    WM_ASSIGN_OR_RETURN(details.finding, ReadFinding(find));
  }
  WM_ASSIGN_OR_RETURN(details.comments, ReadComments(database_, id));
  return details;
}

Result<ChangePage> SqliteQueries::ListChanges(std::optional<std::uint64_t> after,
                                              std::size_t size) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_));
  return ReadChanges(database_, after, size);
}

}  // namespace weighmaster::server::store
