#include "server/store/sqlite/endpoint_rows.h"

#include <string>
#include <string_view>
#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "server/store/sqlite/columns/moments.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/lists/list_keys.h"
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

// How many sightings of each last outcome were there at ?1, how many of them had it then, and how
// many would interest an audit.
constexpr std::string_view kOutcomesThen =
    "SELECT s.outcome, count(*), count(*) FILTER (WHERE s.judged_us <= ?1), "
    "count(*) FILTER (WHERE s.audits > '') FROM sightings s INDEXED BY sightings_judged "
    "WHERE " WM_THERE_AT("?1", "s") " GROUP BY s.outcome";
constexpr std::string_view kAuditsThen =
    "SELECT s.audits, count(*) FROM sightings s INDEXED BY sightings_judged WHERE s.audits > '' "
    "AND s.judged_us <= ?1 AND " WM_THERE_AT("?1", "s") " GROUP BY s.audits";
// What was said at ?1 of each sighting that was there and has another verdict by now, or none.
#define WM_PAST_VERDICTS                                                \
  "SELECT " WM_PAST_VERDICT("?1", "outcome") ", " WM_PAST_VERDICT("?1", \
                                                                  "audits") " FROM sightings s "
constexpr std::string_view kReplacedVerdicts = WM_PAST_VERDICTS
    "INDEXED BY sightings_judged WHERE s.outcome IN (1, 2, 3) AND s.judged_us > ?1 "
    "AND " WM_THERE_AT(
        "?1", "s") " UNION ALL " WM_PAST_VERDICTS
                   "INDEXED BY sightings_judged WHERE s.outcome IS NULL AND " WM_THERE_AT("?1",
                                                                                          "s");
#undef WM_PAST_VERDICTS
constexpr std::string_view kVerdictsOfEndpoint =
    "SELECT " WM_VERDICT_AT("?1", "outcome") ", " WM_VERDICT_AT(
        "?1", "audits") " FROM sightings s WHERE s.endpoint = ?2 AND " WM_THERE_AT("?1", "s");

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

Result<VerdictCounts> CountNow(const Snapshot& snapshot, std::optional<std::int64_t> endpoint) {
  ListScope scope;
  scope.where = "s.gone_us IS NULL";
  if (endpoint) scope.Narrow(*endpoint, "s.endpoint = $");
  VerdictCounts counts;
  const auto count = [&](std::string_view outcome) {
    scope.count_sql = "SELECT count(*) FROM sightings s WHERE " + scope.where + " AND s.outcome " +
                      std::string(outcome);
    return CountScope(snapshot, scope);
  };
  WM_ASSIGN_OR_RETURN(counts.allow, count("= 1"));
  WM_ASSIGN_OR_RETURN(counts.warn, count("= 2"));
  WM_ASSIGN_OR_RETURN(counts.deny, count("= 3"));
  WM_ASSIGN_OR_RETURN(counts.pending, count("IS NULL"));
  return counts;
}

void AddAudits(std::string_view audits, std::uint64_t sightings, VerdictCounts& counts) {
  for (const std::string_view rule : WordsOf(audits)) {
    const auto known = counts.audits.find(rule);
    if (known != counts.audits.end()) {
      known->second += sightings;
    } else if (counts.audits.size() < base::limits::kMaxCountedAudits) {
      counts.audits.emplace(rule, sightings);
    }
  }
}

// Sets of ids repeat, so each is taken apart once.
Status AddAllAudits(Statement& rows, VerdictCounts& counts) {
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    AddAudits(Chars(rows, 0), Number(rows, 1), counts);
  }
}

Status CountAuditsNow(const Snapshot& snapshot, std::optional<std::int64_t> endpoint,
                      VerdictCounts& counts) {
  WM_ASSIGN_OR_RETURN(
      Statement rows,
      snapshot.Prepare("SELECT audits, count(*) FROM sightings INDEXED BY sightings_audited WHERE "
                       "gone_us IS NULL AND audits > '' AND (?1 IS NULL OR endpoint = ?1) "
                       "GROUP BY audits"));
  rows.Bind(endpoint);
  return AddAllAudits(rows, counts);
}

// Of 0, which is a column without a value, the verdict is still to come.
void AddOutcome(std::int64_t outcome, std::uint64_t sightings, VerdictCounts& counts) {
  switch (static_cast<model::Outcome>(outcome)) {
    case model::Outcome::kAllow:
      counts.allow += sightings;
      break;
    case model::Outcome::kWarn:
      counts.warn += sightings;
      break;
    case model::Outcome::kDeny:
      counts.deny += sightings;
      break;
    default:
      counts.pending += sightings;
  }
}

// Rows of an outcome and audits.
Status AddVerdicts(Statement& rows, VerdictCounts& counts) {
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return {};
    AddOutcome(rows.Int(0), 1, counts);
    AddAudits(Chars(rows, 1), 1, counts);
  }
}

Result<VerdictCounts> CountEndpointThen(const Snapshot& snapshot, std::int64_t endpoint,
                                        base::WallTime moment) {
  VerdictCounts counts;
  WM_ASSIGN_OR_RETURN(Statement rows, snapshot.Prepare(kVerdictsOfEndpoint));
  rows.Bind(Column(moment)).Bind(endpoint);
  WM_RETURN_IF_ERROR(AddVerdicts(rows, counts));
  return counts;
}

// By the last verdicts of sightings; only those that had another one then are looked at one by one.
Result<VerdictCounts> CountFleetThen(const Snapshot& snapshot, base::WallTime moment) {
  VerdictCounts counts;
  bool replaced = false;
  bool audited = false;
  WM_ASSIGN_OR_RETURN(Statement outcomes, snapshot.Prepare(kOutcomesThen));
  outcomes.Bind(Column(moment));
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, outcomes.Step());
    if (!more) break;
    AddOutcome(outcomes.Int(0), Number(outcomes, 2), counts);
    replaced = replaced || outcomes.Int(1) > outcomes.Int(2);
    audited = audited || outcomes.Int(3) > 0;
  }
  if (audited) {
    WM_ASSIGN_OR_RETURN(Statement rows, snapshot.Prepare(kAuditsThen));
    rows.Bind(Column(moment));
    WM_RETURN_IF_ERROR(AddAllAudits(rows, counts));
  }
  if (replaced) {
    WM_ASSIGN_OR_RETURN(Statement rows, snapshot.Prepare(kReplacedVerdicts));
    rows.Bind(Column(moment));
    WM_RETURN_IF_ERROR(AddVerdicts(rows, counts));
  }
  return counts;
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

Result<VerdictCounts> CountVerdictsAt(const Snapshot& snapshot,
                                      std::optional<std::int64_t> endpoint,
                                      std::optional<base::WallTime> moment) {
  VerdictCounts counts;
  if (moment) {
    WM_ASSIGN_OR_RETURN(counts, endpoint ? CountEndpointThen(snapshot, *endpoint, *moment)
                                         : CountFleetThen(snapshot, *moment));
  } else {
    WM_ASSIGN_OR_RETURN(counts, CountNow(snapshot, endpoint));
    WM_RETURN_IF_ERROR(CountAuditsNow(snapshot, endpoint, counts));
  }
  WM_ASSIGN_OR_RETURN(counts.coverage, CountCoverage(snapshot, moment));
  return counts;
}

Result<VerdictCounts> CountVerdictsNow(const Snapshot& snapshot) {
  WM_ASSIGN_OR_RETURN(VerdictCounts counts, CountNow(snapshot, std::nullopt));
  WM_ASSIGN_OR_RETURN(counts.coverage, CountCoverage(snapshot, std::nullopt));
  return counts;
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
