#pragma once

// What held at a moment, as SQL: macros, because texts are put together when they are compiled.
// `moment` is a parameter or an expression, in microseconds since 1970 UTC. A row beside which
// others lie with intervals of what held before says since when it holds itself.

// Whether the sighting was there.
#define WM_THERE_AT(moment, s) \
  s ".first_seen_us <= " moment " AND (" s ".gone_us IS NULL OR " s ".gone_us > " moment ")"

// What a verdict of the place of the sighting `s` said that was replaced since.
#define WM_PAST_VERDICT(moment, column)                                                        \
  "(SELECT p." column                                                                          \
  " FROM past_verdicts p WHERE p.endpoint = s.endpoint AND p.path_sha256 = s.path_sha256 AND " \
  "p.from_us <= " moment " AND p.until_us > " moment " ORDER BY p.from_us DESC LIMIT 1)"
// Of the verdict of the sighting `s`, a column that it repeats: its last verdict, or one before.
#define WM_VERDICT_AT(moment, column)                  \
  "CASE WHEN s.judged_us <= " moment " THEN s." column \
  " ELSE " WM_PAST_VERDICT(moment, column) " END"
// The whole of the same verdict.
#define WM_WHOLE_VERDICT_AT(moment)                                                               \
  "coalesce((SELECT v.verdict FROM verdicts v WHERE v.endpoint = s.endpoint AND v.path_sha256 = " \
  "s.path_sha256 AND v.judged_us <= min(" moment ", s.judged_us)), " WM_PAST_VERDICT(             \
      "min(" moment ", coalesce(s.judged_us, " moment "))", "verdict") ")"
// The last verdict of `s`, of whenever it is.
#define WM_LAST_WHOLE_VERDICT WM_WHOLE_VERDICT_AT("s.judged_us")

// Of the endpoint `e`: 2 is revoked, 3 quarantined, 1 active.
#define WM_STATE_AT(moment)                                                      \
  "CASE WHEN e.revoked_us <= " moment " THEN 2 WHEN e.quarantined_us <= " moment \
  " THEN 3 ELSE 1 END"

// Of the policy that was in force on the endpoint `e`: `column` of `endpoints`, `past_column` of
// `past_policies`, whose intervals have no gaps; `none` where there was none.
#define WM_POLICY_AT(moment, column, past_column, none)      \
  "CASE WHEN e.policy_since_us <= " moment " THEN e." column \
  " ELSE coalesce((SELECT p." past_column                    \
  " FROM past_policies p WHERE p.endpoint = e.id AND "       \
  "p.from_us <= " moment " ORDER BY p.from_us DESC LIMIT 1), " none ") END"

// On how many endpoints that are not revoked a version is in force, under a condition.
#define WM_IN_FORCE(version, condition)                             \
  "(SELECT count(*) FROM endpoints WHERE policy_version = " version \
  " AND state <> 2 AND " condition ")"
#define WM_IN_FORCE_AT(moment, version, condition, past_condition)                              \
  "(SELECT count(*) FROM endpoints WHERE policy_version = " version                             \
  " AND policy_since_us <= " moment " AND (revoked_us IS NULL OR revoked_us > " moment          \
  ") AND " condition ") + (SELECT count(*) FROM past_policies WHERE version = " version         \
  " AND until_us > " moment " AND from_us <= " moment " AND " past_condition                    \
  " AND endpoint IN (SELECT id FROM endpoints WHERE revoked_us IS NULL OR revoked_us > " moment \
  "))"

// The rows of coverage, under a condition on `endpoint`.
#define WM_COVERAGE_COLUMNS "endpoint, sensor, root_sha256, state, reason, coverage"
#define WM_COVERAGE_AT(moment, condition)                                                       \
  "(SELECT " WM_COVERAGE_COLUMNS " FROM coverage WHERE changed_us <= " moment " AND " condition \
  " UNION ALL SELECT " WM_COVERAGE_COLUMNS " FROM past_coverage WHERE until_us > " moment       \
  " AND from_us <= " moment " AND " condition ")"

// Of coverage `c`, with its WHERE: 1 when each root was looked at, 3 when none was, 2 otherwise. A
// pseudo file system (reason 4) holds no models and does not count against it.
#define WM_COVERAGE_STATE(coverage)                                                    \
  "(SELECT CASE WHEN max(c.state) = 1 THEN 1 WHEN min(c.state) < 3 THEN 2 ELSE 3 END " \
  "FROM " coverage " AND c.reason <> 4)"

// Of the finding `f`; one that was found before states were kept was open.
#define WM_FINDING_STATE_AT(moment)                                                                \
  "CASE WHEN f.state_since_us <= " moment                                                          \
  " THEN f.state ELSE coalesce((SELECT p.state FROM past_finding_states p WHERE p.finding = f.id " \
  "AND p.from_us <= " moment " AND p.until_us > " moment                                           \
  " ORDER BY p.from_us DESC LIMIT 1), 1) "                                                         \
  "END"
