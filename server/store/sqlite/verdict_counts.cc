#include "server/store/sqlite/verdict_counts.h"

#include <string>
#include <string_view>

#include "policy/base/limits.h"
#include "server/store/sqlite/columns/moments.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/endpoint_rows.h"
#include "server/store/sqlite/lists/list_keys.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using base::Status;
using sqlite::Statement;

// How many sightings of each last outcome were there at ?1, how many of them had it then, and how
// many would interest an audit.
constexpr std::string_view kOutcomesThen =
    "SELECT s.outcome, count(*), count(*) FILTER (WHERE s.judged_us <= ?1), "
    "count(*) FILTER (WHERE s.audits > '') FROM sightings s INDEXED BY sightings_judged "
    "WHERE " WM_THERE_AT("?1", "s") " GROUP BY s.outcome";
// Not grouped: endpoints may have told any number of sets, and they would be held all at once.
constexpr std::string_view kAuditsThen =
    "SELECT s.audits, 1 FROM sightings s INDEXED BY sightings_judged WHERE s.audits > '' "
    "AND s.judged_us <= ?1 AND " WM_THERE_AT("?1", "s");
// What was said at ?1 of each sighting that was there and has another verdict by now, or none.
// Verdicts of a path do not overlap, so there is one at most.
#define WM_PAST_VERDICTS(sightings)                                                             \
  "SELECT p.outcome, p.audits FROM sightings s INDEXED BY sightings_judged LEFT JOIN "          \
  "past_verdicts p ON p.endpoint = s.endpoint AND p.path_sha256 = s.path_sha256 AND p.from_us " \
  "<= ?1 AND p.until_us > ?1 WHERE " sightings " AND " WM_THERE_AT("?1", "s")
constexpr std::string_view kReplacedVerdicts =
    WM_PAST_VERDICTS("s.outcome IN (1, 2, 3) AND s.judged_us > ?1") " UNION ALL " WM_PAST_VERDICTS(
        "s.outcome IS NULL");
#undef WM_PAST_VERDICTS
constexpr std::string_view kVerdictsOfEndpoint =
    "SELECT " WM_VERDICT_AT("?1", "outcome") ", " WM_VERDICT_AT(
        "?1", "audits") " FROM sightings s WHERE s.endpoint = ?2 AND " WM_THERE_AT("?1", "s");

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

}  // namespace weighmaster::server::store
