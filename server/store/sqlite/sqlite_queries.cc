#include "server/store/sqlite/sqlite_queries.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "server/store/sqlite/columns/moments.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/columns/sightings_table.h"
#include "server/store/sqlite/endpoint_rows.h"
#include "server/store/sqlite/evidence_rows.h"
#include "server/store/sqlite/exceptions_table.h"
#include "server/store/sqlite/lists/list_keys.h"
#include "server/store/sqlite/lists/list_tables.h"
#include "server/store/sqlite/scope/snapshot.h"
#include "server/store/sqlite/verdict_counts.h"
#include "server/store/sqlite/work_tables.h"
#include "weighmaster/v1/trust.pb.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using base::Status;
using sqlite::Statement;

constexpr std::string_view kSightingRow =
    "SELECT e.endpoint_id, e.hostname, s.path, s.path_encoding, s.sighting, s.first_seen_us, "
    "s.last_change_us, s.gone_us, " WM_LAST_WHOLE_VERDICT
    " FROM sightings s JOIN endpoints e ON e.id = s.endpoint WHERE s.id = ?1";
// As it was at ?2: not gone yet.
constexpr std::string_view kPastSightingRow =
    "SELECT e.endpoint_id, e.hostname, s.path, s.path_encoding, s.sighting, s.first_seen_us, "
    "s.last_change_us, NULL, " WM_WHOLE_VERDICT_AT(
        "?2") " FROM sightings s JOIN endpoints e ON e.id = s.endpoint WHERE s.id = ?1";
#define WM_FINDING_ROW(state)                                                     \
  "SELECT f.id, f.rule, e.endpoint_id, e.hostname, f.subject, f.severity, " state \
  ", f.detail, f.first_us, f.last_us, f.count FROM findings f "                   \
  "JOIN endpoints e ON e.id = f.endpoint WHERE f.id = ?1"
constexpr std::string_view kFindingRow = WM_FINDING_ROW("f.state");
constexpr std::string_view kPastFindingRow = WM_FINDING_ROW(WM_FINDING_STATE_AT("?2"));
#undef WM_FINDING_ROW
// There is one sighting at least but of an artifact that was told of without a place. Without an
// outer join, for which SQLite would make the view of all sightings in scope whole for each row.
#define WM_ARTIFACT_ROW(there, seen)                                                           \
  "SELECT a.sha256, n.places, n.endpoints, n.first_seen_us, o.format, o.name, o.license, "     \
  "o.size_bytes FROM artifacts a JOIN (SELECT count(*) FILTER (WHERE " there                   \
  ") AS places, count(DISTINCT s.endpoint) FILTER (WHERE " there                               \
  ") AS endpoints, min(s.first_seen_us) AS first_seen_us FROM sightings s WHERE s.artifact = " \
  "?1) n LEFT JOIN main.sightings o ON o.id = (SELECT s.id FROM sightings s WHERE s.artifact " \
  "= ?1 AND " seen " ORDER BY s.gone_us, s.id LIMIT 1) WHERE a.id = ?1"
constexpr std::string_view kArtifactRow = WM_ARTIFACT_ROW("s.gone_us IS NULL", "TRUE");
constexpr std::string_view kPastArtifactRow =
    WM_ARTIFACT_ROW(WM_THERE_AT("?2", "s"), "s.first_seen_us <= ?2");
#undef WM_ARTIFACT_ROW
constexpr std::string_view kEventRow =
    "SELECT c.chain_id, v.number, v.kind, v.wall_us, a.sha256, v.body FROM events v "
    "JOIN chains c ON c.id = v.chain LEFT JOIN artifacts a ON a.id = v.artifact "
    "WHERE v.chain = (?1 >> 40) AND v.number = (?1 & 1099511627775)";
constexpr std::string_view kPolicyRow =
    "SELECT b.version, b.published_us, b.floor, b.manifest_sha256, " WM_IN_FORCE(
        "?1", "TRUE") ", " WM_IN_FORCE("?1", "policy_partly = 1")
    ", b.publisher_id, b.publisher FROM bundles b WHERE b.version = ?1";
constexpr std::string_view kPastPolicyRow =
    "SELECT b.version, b.published_us, b.floor, b.manifest_sha256, " WM_IN_FORCE_AT(
        "?2", "?1", "TRUE", "TRUE") ", " WM_IN_FORCE_AT(
        "?2", "?1", "policy_partly = 1", "partly = 1")
    ", b.publisher_id, b.publisher FROM bundles b WHERE b.version = ?1";
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

Result<PolicyRow> ReadPolicy(const Statement& row) {
  PolicyRow policy;
  policy.version = Number(row, 0);
  policy.published = Time(row, 1);
  policy.floor = Number(row, 2);
  WM_ASSIGN_OR_RETURN(policy.manifest_sha256,
                      Stored(model::Sha256FromBytes(row.Blob(3)), "digest"));
  policy.endpoints_in_force = Number(row, 4);
  policy.endpoints_partly = Number(row, 5);
  WM_ASSIGN_OR_RETURN(policy.publisher, ReadActor(row, 6));
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
  WM_ASSIGN_OR_RETURN(token.scope, Stored(Scope::Parse(Chars(row, 5)), "scope"));
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

// The rows of the keys, one by one: `sql` takes a key, and perhaps a moment.
template <typename Row>
Status ReadRows(const Snapshot& snapshot, const ListKeys& keys, std::string_view sql,
                Result<Row> (*read)(const Statement&), std::optional<base::WallTime> moment,
                Page<Row>& page) {
  for (const std::int64_t key : keys.keys) {
    WM_ASSIGN_OR_RETURN(Statement find, snapshot.Prepare(sql));
    find.Bind(key);
    if (moment.has_value()) find.Bind(Column(*moment));
    WM_ASSIGN_OR_RETURN(const bool found, find.Step());
    if (!found) return base::DataLoss("the store's indices and its rows disagree");
    WM_ASSIGN_OR_RETURN(Row row, read(find));
    page.rows.push_back(std::move(row));
  }
  PutPage(keys, page);
  return {};
}

Result<std::optional<std::int64_t>> SmallNumber(const Snapshot& snapshot, std::string_view sql,
                                                base::ByteView value) {
  WM_ASSIGN_OR_RETURN(Statement find, snapshot.Prepare(sql));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(value).Step());
  return found ? std::optional(find.Int(0)) : std::nullopt;
}

Result<std::uint64_t> CountKnownWeights(const Snapshot& snapshot,
                                        std::optional<base::WallTime> moment) {
  ListScope known;
  if (moment) {
    known.Narrow(Column(*moment), WM_THERE_AT("$", "s"));
  } else {
    known.where += " AND s.gone_us IS NULL";
  }
  known.count_sql =
      "SELECT count(*) FROM sightings s WHERE s.weights IS NOT NULL AND " + known.where;
  return CountScope(snapshot, known);
}

Result<std::vector<model::Id>> ReadEndpointIds(const Snapshot& snapshot) {
  WM_ASSIGN_OR_RETURN(Statement rows, snapshot.Prepare("SELECT endpoint_id FROM endpoints"));
  std::vector<model::Id> ids;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return ids;
    WM_ASSIGN_OR_RETURN(const auto id, Stored(model::IdFromBytes(rows.Blob(0)), "endpoint id"));
    ids.push_back(id);
  }
}

}  // namespace

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
  // After a root that took a key away, versions above the newest may be used up.
  WM_ASSIGN_OR_RETURN(
      Statement used,
      database_.Prepare("SELECT version FROM bundles WHERE version > ? ORDER BY version"));
  used.Bind(find.Int(2));
  fleet.next_policy = fleet.newest_policy + 1;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, used.Step());
    if (!more || Number(used, 0) != fleet.next_policy) return fleet;
    ++fleet.next_policy;
  }
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

Result<Page<AdminTokenRecord>> SqliteQueries::ListAdminTokens(const Scope& scope,
                                                              const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(snapshot, AdminTokenTable(), {}, query));
  Page<AdminTokenRecord> page;
  WM_RETURN_IF_ERROR(ReadRows(snapshot, keys, WM_ADMIN_TOKEN_COLUMNS "WHERE id = ?", ReadAdminToken,
                              std::nullopt, page));
  return page;
}

Result<Page<AuditEntry>> SqliteQueries::ListAuditEntries(const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, Scope::WholeFleet()));
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(snapshot, AuditTable(), {}, query));
  Page<AuditEntry> page;
  WM_RETURN_IF_ERROR(ReadRows(snapshot, keys,
                              "SELECT number, time_us, token_id, token_name, method, outcome, "
                              "begun_number, code, summary, sha256 FROM audit WHERE number = ?",
                              ReadAuditEntry, std::nullopt, page));
  return page;
}

Result<StoredBundle> SqliteQueries::FindBundle(const Scope& scope, std::uint64_t version) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  StoredBundle bundle;
  {
    WM_ASSIGN_OR_RETURN(
        Statement find,
        snapshot.Prepare(
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
                      snapshot.Prepare("SELECT count(*), coalesce(sum(policy_version = ?1), 0), "
                                       "coalesce(sum(policy_version = ?1 AND policy_partly = 1), "
                                       "0) FROM endpoints WHERE state <> 2"));
  WM_RETURN_IF_ERROR(count.Bind(Column(bundle.version)).Step());
  bundle.endpoints_total = Number(count, 0);
  bundle.endpoints_in_force = Number(count, 1);
  bundle.endpoints_partly = Number(count, 2);
  return bundle;
}

Result<ExceptionSetRecord> SqliteQueries::FindExceptions(const Scope& scope,
                                                         const std::optional<model::Id>& endpoint) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  if (endpoint) {
    const auto number = snapshot.FindEndpoint(*endpoint);
    if (!number.has_value()) return number.error();
  }
  WM_ASSIGN_OR_RETURN(
      Statement find,
      snapshot.Prepare(
          "SELECT signed_exceptions, published_us, publisher_id, publisher FROM exception_sets "
          "WHERE scope = ? ORDER BY version DESC LIMIT 1"));
  const base::ByteView whose = endpoint ? endpoint->view() : base::ByteView();
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(whose).Step());
  if (!found) return base::NotFound("no exceptions have been published yet");
  return ReadExceptionSet(find, 0);
}

Result<EndpointEvidence> SqliteQueries::FindEvidence(const Scope& scope, const model::Id& endpoint,
                                                     const BatchRange& range) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  WM_ASSIGN_OR_RETURN(const std::int64_t number, snapshot.FindEndpoint(endpoint));
  return ReadEvidence(snapshot.database(), number, range);
}

Result<BatchPage> SqliteQueries::ListBatches(const Scope& scope, const BatchQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  WM_ASSIGN_OR_RETURN(const std::int64_t endpoint, snapshot.FindEndpoint(query.endpoint));
  return ReadBatches(snapshot.database(), endpoint, query);
}

Result<Page<ExceptionRow>> SqliteQueries::ListExceptions(const Scope& scope,
                                                         const ExceptionQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  return ReadExceptions(snapshot, query);
}

Result<std::vector<model::ExceptionSet>> SqliteQueries::ExceptionSets(const Scope& scope) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  WM_ASSIGN_OR_RETURN(
      Statement rows,
      snapshot.Prepare("SELECT signed_exceptions, published_us, publisher_id, publisher FROM "
                       "exception_sets x WHERE version = (SELECT max(version) FROM exception_sets "
                       "n WHERE n.scope = x.scope)"));
  std::vector<model::ExceptionSet> sets;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return sets;
    WM_ASSIGN_OR_RETURN(ExceptionSetRecord record, ReadExceptionSet(rows, 0));
    sets.push_back(std::move(record.set));
  }
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

Result<Page<EndpointRow>> SqliteQueries::ListEndpoints(const Scope& scope,
                                                       const EndpointQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  const PageQuery& page_query = query.page;
  if (page_query.filter && query::Names(*page_query.filter, query::kConnected)) {
    WM_RETURN_IF_ERROR(KeepConnected(snapshot, query.connected));
  }
  ListScope wanted;
  if (page_query.as_of) wanted.Narrow(Column(*page_query.as_of), "e.enrolled_us <= $");
  WM_ASSIGN_OR_RETURN(const ListKeys keys,
                      FindKeys(snapshot, page_query.as_of ? PastEndpointTable() : EndpointTable(),
                               wanted, page_query));
  Page<EndpointRow> page;
  PutPage(keys, page);
  for (const std::int64_t key : keys.keys) {
    WM_ASSIGN_OR_RETURN(EndpointRow row, ReadEndpoint(snapshot, key, page_query.as_of));
    page.rows.push_back(std::move(row));
  }
  return page;
}

Result<EndpointRow> SqliteQueries::GetEndpoint(const Scope& scope, const model::Id& id,
                                               std::optional<base::WallTime> as_of) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  WM_ASSIGN_OR_RETURN(const std::int64_t number, FindEndpointAt(snapshot, id, as_of));
  return ReadEndpoint(snapshot, number, as_of);
}

Result<SightingPage> SqliteQueries::ListSightings(const Scope& scope, const SightingQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  SightingPage page;
  const std::optional<base::WallTime> as_of = query.page.as_of;
  WM_ASSIGN_OR_RETURN(page.coverage, CountCoverage(snapshot, as_of));
  ListScope wanted;
  if (as_of) {
    wanted.Narrow(Column(*as_of), WM_THERE_AT("$", "s"));
  } else if (!query.include_gone) {
    wanted.where += " AND s.gone_us IS NULL";
  }
  if (query.endpoint.has_value()) {
    WM_ASSIGN_OR_RETURN(const std::int64_t endpoint, snapshot.FindEndpoint(*query.endpoint));
    wanted.Narrow(endpoint, "s.endpoint = $");
  }
  if (query.sha256.has_value()) {
    WM_ASSIGN_OR_RETURN(
        const auto artifact,
        SmallNumber(snapshot, "SELECT id FROM artifacts WHERE sha256 = ?", query.sha256->view()));
    if (!artifact.has_value()) return page;  // seen nowhere, as far as the coverage goes
    wanted.Narrow(*artifact, "s.artifact = $");
  }
  if (query.weights.has_value()) {
    WM_ASSIGN_OR_RETURN(
        const auto weights,
        SmallNumber(snapshot, "SELECT id FROM weights WHERE digest = ?", query.weights->view()));
    // Also one that was never told of, by anybody: what is answered must not say so.
    wanted.Narrow(weights.value_or(0), "s.weights = $");
  }
  // The narrowest index of those that are present.
  const bool all_present = !query.include_gone && wanted.values.empty();
  wanted.count_sql = "SELECT count(*) FROM sightings s " +
                     std::string(all_present ? "INDEXED BY sightings_by_format " : "") + "WHERE " +
                     wanted.where;
  const ListTable& table = as_of                ? PastSightingTable()
                           : query.include_gone ? AllSightingTable()
                                                : PresentSightingTable();
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(snapshot, table, wanted, query.page));
  WM_RETURN_IF_ERROR(
      ReadRows(snapshot, keys, as_of ? kPastSightingRow : kSightingRow, ReadSighting, as_of, page));
  if (!query.sha256.has_value() && !query.weights.has_value()) return page;
  if (query.weights.has_value() && page.total == 0) {
    WM_ASSIGN_OR_RETURN(page.weights_known, CountKnownWeights(snapshot, as_of));
  }
  wanted.count_sql = "SELECT count(DISTINCT s.endpoint) FROM sightings s WHERE " + wanted.where;
  WM_ASSIGN_OR_RETURN(page.endpoints, CountScope(snapshot, wanted));
  if (!query.include_gone && !query.page.filter && !query.page.after) {
    page.present = page.total;
    return page;
  }
  wanted.count_sql = "SELECT count(*) FROM sightings s WHERE " + wanted.where +
                     (query.include_gone ? " AND s.gone_us IS NULL" : "");
  WM_ASSIGN_OR_RETURN(page.present, CountScope(snapshot, wanted));
  return page;
}

Status SqliteQueries::VisitPresent(
    const Scope& scope, const std::function<base::Status(const PresentSighting&)>& visit) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope, std::nullopt));
  return VisitPresentSightings(snapshot, visit);
}

Result<Page<ArtifactRow>> SqliteQueries::ListArtifacts(const Scope& scope, const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  // An artifact is no endpoint's. For a narrower scope it is there when one of its endpoints ever
  // had it; for the whole fleet also when it was told of without a place.
  ListScope wanted;
  if (query.as_of) {
    wanted.Narrow(Column(*query.as_of),
                  "EXISTS (SELECT 1 FROM sightings s WHERE s.artifact = a.id AND "
                  "s.first_seen_us <= $)");
  } else if (!snapshot.is_whole_fleet()) {
    wanted.where = "EXISTS (SELECT 1 FROM sightings s WHERE s.artifact = a.id)";
  }
  WM_ASSIGN_OR_RETURN(
      const ListKeys keys,
      FindKeys(snapshot, query.as_of ? PastArtifactTable() : ArtifactTable(), wanted, query));
  Page<ArtifactRow> page;
  WM_RETURN_IF_ERROR(ReadRows(snapshot, keys, query.as_of ? kPastArtifactRow : kArtifactRow,
                              ReadArtifact, query.as_of, page));
  return page;
}

Result<Page<EventRow>> SqliteQueries::ListEvents(const Scope& scope, const model::Id& endpoint,
                                                 const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  WM_ASSIGN_OR_RETURN(const std::int64_t number, snapshot.FindEndpoint(endpoint));
  ListScope wanted;
  wanted.Narrow(number, "c.endpoint = $");
  WM_ASSIGN_OR_RETURN(const ListKeys keys, FindKeys(snapshot, EventTable(), wanted, query));
  Page<EventRow> page;
  WM_RETURN_IF_ERROR(ReadRows(snapshot, keys, kEventRow, ReadEvent, std::nullopt, page));
  return page;
}

Result<VerdictCounts> SqliteQueries::CountVerdicts(const Scope& scope,
                                                   const std::optional<model::Id>& endpoint,
                                                   std::optional<base::WallTime> as_of) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  std::optional<std::int64_t> number;
  if (endpoint) {
    WM_ASSIGN_OR_RETURN(number, FindEndpointAt(snapshot, *endpoint, as_of));
  }
  return CountVerdictsAt(snapshot, number, as_of);
}

Result<store::Statistics> SqliteQueries::Statistics(const Scope& scope) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  store::Statistics numbers;
  WM_ASSIGN_OR_RETURN(numbers.verdicts, CountVerdictsNow(snapshot));
  {
    WM_ASSIGN_OR_RETURN(
        Statement rows,
        snapshot.Prepare("SELECT state, count(*) FROM endpoints GROUP BY state ORDER BY state"));
    while (true) {
      WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) break;
      numbers.endpoints.push_back({static_cast<EndpointState>(rows.Int(0)), Number(rows, 1)});
    }
  }
  {
    WM_ASSIGN_OR_RETURN(
        Statement rows,
        snapshot.Prepare("SELECT state, severity, count(*) FROM findings INDEXED BY "
                         "findings_counted WHERE state > 0 GROUP BY state, severity "
                         "ORDER BY state, severity"));
    while (true) {
      WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
      if (!more) break;
      numbers.findings.push_back({static_cast<FindingState>(rows.Int(0)),
                                  static_cast<model::Severity>(rows.Int(1)), Number(rows, 2)});
    }
  }
  if (!snapshot.is_whole_fleet()) {
    WM_ASSIGN_OR_RETURN(numbers.in_scope, ReadEndpointIds(snapshot));
  }
  WM_ASSIGN_OR_RETURN(
      Statement find,
      snapshot.Prepare(
          "SELECT newest_policy, count(e.id), coalesce(sum(e.policy_partly = 1), 0) FROM fleet "
          "LEFT JOIN endpoints e ON e.state <> 2 AND newest_policy > 0 AND e.policy_version = "
          "newest_policy"));
  WM_RETURN_IF_ERROR(find.Step());
  numbers.newest_policy = Number(find, 0);
  numbers.endpoints_in_force = Number(find, 1);
  numbers.endpoints_partly = Number(find, 2);
  return numbers;
}

Result<Page<PolicyRow>> SqliteQueries::ListPolicies(const Scope& scope, const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  ListScope wanted;
  if (query.as_of) wanted.Narrow(Column(*query.as_of), "b.published_us <= $");
  WM_ASSIGN_OR_RETURN(
      const ListKeys keys,
      FindKeys(snapshot, query.as_of ? PastPolicyTable() : PolicyTable(), wanted, query));
  Page<PolicyRow> page;
  WM_RETURN_IF_ERROR(ReadRows(snapshot, keys, query.as_of ? kPastPolicyRow : kPolicyRow, ReadPolicy,
                              query.as_of, page));
  return page;
}

Result<FleetCoverage> SqliteQueries::Coverage(const Scope& scope) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  return CountCoverage(snapshot, std::nullopt);
}

Result<Page<FindingRow>> SqliteQueries::ListFindings(const Scope& scope, bool include_resolved,
                                                     const PageQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  ListScope wanted;
  if (query.as_of) {
    wanted.Narrow(Column(*query.as_of), "f.first_us <= $");
    // Open or acknowledged.
    if (!include_resolved) wanted.where += " AND " WM_FINDING_STATE_AT("?1") " IN (1, 3)";
  } else {
    wanted.count_sql = "SELECT count(*) FROM findings";
    if (!include_resolved) {
      wanted.where = "f.resolved_us IS NULL";
      wanted.count_sql += " WHERE resolved_us IS NULL";
    }
  }
  WM_ASSIGN_OR_RETURN(
      const ListKeys keys,
      FindKeys(snapshot, query.as_of ? PastFindingTable() : FindingTable(), wanted, query));
  Page<FindingRow> page;
  WM_RETURN_IF_ERROR(ReadRows(snapshot, keys, query.as_of ? kPastFindingRow : kFindingRow,
                              ReadFinding, query.as_of, page));
  return page;
}

Result<FindingDetails> SqliteQueries::GetFinding(const Scope& scope, std::uint64_t id) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  FindingDetails details;
  {
    WM_ASSIGN_OR_RETURN(Statement find, snapshot.Prepare(kFindingRow));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Column(id)).Step());
    if (!found) return base::NotFound("there is no finding " + std::to_string(id));
    WM_ASSIGN_OR_RETURN(details.finding, ReadFinding(find));
  }
  WM_ASSIGN_OR_RETURN(details.comments, ReadComments(snapshot.database(), id));
  return details;
}

Result<ChangePage> SqliteQueries::ListChanges(const Scope& scope, const ChangeQuery& query) {
  WM_ASSIGN_OR_RETURN(const Snapshot snapshot, Snapshot::Begin(database_, scope));
  return ReadChanges(snapshot, query);
}

}  // namespace weighmaster::server::store
