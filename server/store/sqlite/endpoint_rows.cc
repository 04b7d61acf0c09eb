#include "server/store/sqlite/endpoint_rows.h"

#include <string>
#include <string_view>
#include <utility>

#include "proto/wire/convert.h"
#include "server/store/sqlite/columns/moments.h"
#include "server/store/sqlite/columns/rows.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using base::Status;
using sqlite::Statement;

// A statement for now and one for the moment ?2.
struct AtEither {
  std::string_view now;
  std::string_view then;
};

#define WM_ENDPOINT_ROW(state, version, partly, since, revoked, reason, key_condition)          \
  "SELECT e.endpoint_id, " state                                                                \
  ", e.hostname, e.os, e.os_release, e.agent_version, e.enrolled_us, e.last_contact_us, "       \
  "e.clock_offset_us, e.labels, " version ", " partly ", " since ", " revoked ", " reason       \
  ", k.key_id, k.added_us FROM endpoints e JOIN keys k ON k.endpoint = e.id AND " key_condition \
  " WHERE e.id = ?1 ORDER BY k.id DESC LIMIT 1"
constexpr AtEither kRow{
    WM_ENDPOINT_ROW("e.state", "e.policy_version", "e.policy_partly", "e.policy_since_us",
                    "e.revoked_us", "e.revoked_reason", "TRUE"),
    WM_ENDPOINT_ROW(WM_STATE_AT("?2"), WM_POLICY_AT("?2", "policy_version", "version", "0"),
                    WM_POLICY_AT("?2", "policy_partly", "partly", "0"),
                    WM_POLICY_AT("?2", "policy_since_us", "from_us", "NULL"),
                    "CASE WHEN e.revoked_us <= ?2 THEN e.revoked_us END",
                    "CASE WHEN e.revoked_us <= ?2 THEN e.revoked_reason END", "k.added_us <= ?2")};
#undef WM_ENDPOINT_ROW

constexpr AtEither kSightings{
    "SELECT (SELECT count(*) FROM sightings WHERE endpoint = ?1 AND gone_us IS NULL), "
    "count(*) FILTER (WHERE outcome = 3), count(*) FILTER (WHERE outcome = 2) "
    "FROM sightings WHERE endpoint = ?1 AND gone_us IS NULL AND outcome > 1",
    "SELECT count(*), count(*) FILTER (WHERE outcome = 3), count(*) FILTER (WHERE outcome = 2) "
    "FROM (SELECT " WM_VERDICT_AT("?2", "outcome") " AS outcome FROM sightings s "
                                                   "WHERE s.endpoint = ?1 AND " WM_THERE_AT(
                                                       "?2", "s") ")"};

constexpr AtEither kCoverage{
    "SELECT coverage, state, reason FROM coverage WHERE endpoint = ?1 "
    "ORDER BY sensor, root_sha256",
    "SELECT coverage, state, reason FROM " WM_COVERAGE_AT(
        "?2", "endpoint = ?1") " ORDER BY sensor, root_sha256"};

// An endpoint is looked at when each of its roots is.
#define WM_FLEET_COVERAGE(endpoints, coverage)                                          \
  "SELECT (SELECT count(*) FROM endpoints WHERE " endpoints                             \
  "), coalesce(sum(worst = 1), 0), coalesce(sum(worst > 1 AND best < 3), 0) FROM "      \
  "(SELECT max(c.state) AS worst, min(c.state) AS best FROM " coverage                  \
  " c WHERE c.reason <> 4 AND c.endpoint IN (SELECT id FROM endpoints WHERE " endpoints \
  ") GROUP BY c.endpoint)"
constexpr std::string_view kFleetCoverageNow = WM_FLEET_COVERAGE("state <> 2", "coverage");
constexpr std::string_view kFleetCoverageThen = WM_FLEET_COVERAGE(
    "enrolled_us <= ?1 AND (revoked_us IS NULL OR revoked_us > ?1)", WM_COVERAGE_AT("?1", "TRUE"));
#undef WM_FLEET_COVERAGE

Result<Statement> Prepare(const Snapshot& snapshot, const AtEither& sql, std::int64_t endpoint,
                          std::optional<base::WallTime> moment) {
  WM_ASSIGN_OR_RETURN(Statement statement, snapshot.Prepare(moment ? sql.then : sql.now));
  statement.Bind(endpoint);
  if (moment) statement.Bind(Column(*moment));
  return statement;
}

Result<EndpointRow> ReadOwnRow(const Statement& row) {
  EndpointRow endpoint;
  WM_ASSIGN_OR_RETURN(endpoint.id, Stored(model::IdFromBytes(row.Blob(0)), "endpoint id"));
  endpoint.state = static_cast<EndpointState>(row.Int(1));
  endpoint.machine.hostname = row.Text(2);
  endpoint.machine.os = row.Text(3);
  endpoint.machine.os_release = row.Text(4);
  endpoint.machine.agent_version = row.Text(5);
  endpoint.enrolled = Time(row, 6);
  endpoint.last_contact = MaybeTime(row, 7);
  endpoint.clock_offset = base::Duration(row.Int(8));
  WM_ASSIGN_OR_RETURN(endpoint.labels, ReadLabels(row, 9));
  endpoint.policy_version = Number(row, 10);
  endpoint.policy_partly = row.Int(11) != 0;
  endpoint.policy_since = MaybeTime(row, 12);
  endpoint.revoked = MaybeTime(row, 13);
  endpoint.revoked_reason = row.Text(14);
  WM_ASSIGN_OR_RETURN(endpoint.key_sha256, Stored(model::Sha256FromBytes(row.Blob(15)), "key id"));
  endpoint.key_added = Time(row, 16);
  return endpoint;
}

// As FleetCoverage counts it, from the worst and the best root.
Status ReadCoverage(Statement& rows, EndpointRow& endpoint) {
  std::int64_t worst = 0;
  std::int64_t best = EnumColumn(model::CoverageState::kCouldNot);
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) break;
    WM_ASSIGN_OR_RETURN(const auto message, ParseColumn<v1::Coverage>(rows, 0, "coverage"));
    WM_ASSIGN_OR_RETURN(auto coverage, Stored(wire::FromProto(message), "coverage"));
    endpoint.coverage.push_back(std::move(coverage));
    if (rows.Int(2) == EnumColumn(model::CoverageReason::kPseudoFileSystem)) continue;
    worst = std::max(worst, rows.Int(1));
    best = std::min(best, rows.Int(1));
  }
  using enum model::CoverageState;
  endpoint.coverage_state = worst == EnumColumn(kLooked)   ? kLooked
                            : best < EnumColumn(kCouldNot) ? kPartly
                                                           : kCouldNot;
  return {};
}

}  // namespace

Result<EndpointRow> ReadEndpoint(const Snapshot& snapshot, std::int64_t endpoint,
                                 std::optional<base::WallTime> moment) {
  EndpointRow row;
  {
    WM_ASSIGN_OR_RETURN(Statement find, Prepare(snapshot, kRow, endpoint, moment));
    WM_ASSIGN_OR_RETURN(const bool found, find.Step());
    if (!found) return base::DataLoss("the store has an endpoint without a key");
    WM_ASSIGN_OR_RETURN(row, ReadOwnRow(find));
  }
  {
    WM_ASSIGN_OR_RETURN(Statement count, Prepare(snapshot, kSightings, endpoint, moment));
    WM_RETURN_IF_ERROR(count.Step());
    row.sightings = Number(count, 0);
    row.denied = Number(count, 1);
    row.warned = Number(count, 2);
  }
  {
    WM_ASSIGN_OR_RETURN(
        Statement count,
        snapshot.Prepare("SELECT coalesce(sum(events_stored), 0), "
                         "coalesce(sum(events_dropped), 0), coalesce(sum(events_unreadable), 0) "
                         "FROM chains WHERE endpoint = ?"));
    WM_RETURN_IF_ERROR(count.Bind(endpoint).Step());
    row.events_stored = Number(count, 0);
    row.events_dropped = Number(count, 1);
    row.events_unreadable = Number(count, 2);
  }
  WM_ASSIGN_OR_RETURN(Statement rows, Prepare(snapshot, kCoverage, endpoint, moment));
  WM_RETURN_IF_ERROR(ReadCoverage(rows, row));
  return row;
}

Result<FleetCoverage> CountCoverage(const Snapshot& snapshot,
                                    std::optional<base::WallTime> moment) {
  WM_ASSIGN_OR_RETURN(Statement count,
                      snapshot.Prepare(moment ? kFleetCoverageThen : kFleetCoverageNow));
  if (moment) count.Bind(Column(*moment));
  WM_RETURN_IF_ERROR(count.Step());
  FleetCoverage coverage;
  coverage.endpoints = Number(count, 0);
  coverage.looked = Number(count, 1);
  coverage.partly = Number(count, 2);
  coverage.none = coverage.endpoints - coverage.looked - coverage.partly;
  return coverage;
}

Result<std::int64_t> FindEndpointAt(const Snapshot& snapshot, const model::Id& endpoint,
                                    std::optional<base::WallTime> moment) {
  WM_ASSIGN_OR_RETURN(const std::int64_t number, snapshot.FindEndpoint(endpoint));
  if (!moment) return number;
  WM_ASSIGN_OR_RETURN(Statement find,
                      snapshot.Prepare("SELECT enrolled_us <= ? FROM endpoints WHERE id = ?"));
  WM_RETURN_IF_ERROR(find.Bind(Column(*moment)).Bind(number).Step());
  if (find.Int(0) != 0) return number;
  return base::NotFound("there was no endpoint " + endpoint.ToHex() + " yet");
}

Status KeepConnected(const Snapshot& snapshot, const std::vector<model::Id>& connected) {
  sqlite::Database& database = snapshot.database();
  WM_RETURN_IF_ERROR(database.Execute(
      "CREATE TEMP TABLE IF NOT EXISTS connected_endpoints (endpoint INTEGER PRIMARY KEY) STRICT;"
      "DELETE FROM temp.connected_endpoints;"));
  WM_ASSIGN_OR_RETURN(Statement add,
                      database.Prepare("INSERT INTO temp.connected_endpoints "
                                       "SELECT id FROM main.endpoints WHERE endpoint_id = ?"));
  for (const model::Id& endpoint : connected) {
    WM_RETURN_IF_ERROR(add.Bind(endpoint.view()).Run());
  }
  return {};
}

}  // namespace weighmaster::server::store
