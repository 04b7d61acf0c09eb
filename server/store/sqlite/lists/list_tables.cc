#include "server/store/sqlite/lists/list_tables.h"

#include <algorithm>

#include "policy/base/check.h"
#include "server/store/sqlite/columns/moments.h"

namespace weighmaster::server::store {
namespace {

constexpr std::string_view kEndpointOfId = "(SELECT id FROM endpoints WHERE endpoint_id = $)";

// What a moment does not change, or what is known only of now.
#define WM_COLUMNS_OF_ALL_ENDPOINTS                                                          \
  {"endpoint_id", "e.endpoint_id"}, {"hostname", "e.hostname"}, {"os", "e.os"},              \
      {"agent_version", "e.agent_version"}, {"enrolled_time", "e.enrolled_us"},              \
      {"last_contact_time", "e.last_contact_us"}, {"clock_offset", "e.clock_offset_us"},     \
      {"events_stored",                                                                      \
       "(SELECT coalesce(sum(c.events_stored), 0) FROM chains c WHERE c.endpoint = e.id)"},  \
      {"events_dropped",                                                                     \
       "(SELECT coalesce(sum(c.events_dropped), 0) FROM chains c WHERE c.endpoint = e.id)"}, \
  {                                                                                          \
    "label", "e.labels"                                                                      \
  }
#define WM_OF_NEWEST_KEY(column, condition)                                 \
  "(SELECT k." column " FROM keys k WHERE k.endpoint = e.id AND " condition \
  " ORDER BY k.id DESC LIMIT 1)"
#define WM_COUNT_OF(condition) \
  "(SELECT count(*) FROM sightings s WHERE s.endpoint = e.id AND " condition ")"
constexpr ListColumn kEndpointColumns[] = {
    WM_COLUMNS_OF_ALL_ENDPOINTS,
    {"state", "e.state"},
    {"connected", "e.id IN (SELECT endpoint FROM temp.connected_endpoints)"},
    {"policy_version", "e.policy_version"},
    {"policy_partly", "e.policy_partly"},
    {"policy_since_time", "e.policy_since_us"},
    {"coverage", WM_COVERAGE_STATE("coverage c WHERE c.endpoint = e.id")},
    {"sightings", WM_COUNT_OF("s.gone_us IS NULL")},
    {"denied", WM_COUNT_OF("s.gone_us IS NULL AND s.outcome > 1 AND s.outcome = 3")},
    {"warned", WM_COUNT_OF("s.gone_us IS NULL AND s.outcome > 1 AND s.outcome = 2")},
    {"key_sha256", WM_OF_NEWEST_KEY("key_id", "TRUE")},
    {"key_added_time", WM_OF_NEWEST_KEY("added_us", "TRUE")},
    {"revoked_time", "e.revoked_us"},
    {"revoked_reason", "coalesce(e.revoked_reason, '')"},
};
#define WM_THERE_AND_SAID(outcome) \
  WM_THERE_AT("?1", "s") " AND " WM_VERDICT_AT("?1", "outcome") " = " outcome
constexpr ListColumn kPastEndpointColumns[] = {
    WM_COLUMNS_OF_ALL_ENDPOINTS,
    {"state", WM_STATE_AT("?1")},
    {"connected", "0"},
    {"policy_version", WM_POLICY_AT("?1", "policy_version", "version", "0")},
    {"policy_partly", WM_POLICY_AT("?1", "policy_partly", "partly", "0")},
    {"policy_since_time", WM_POLICY_AT("?1", "policy_since_us", "from_us", "NULL")},
    {"coverage", WM_COVERAGE_STATE(WM_COVERAGE_AT("?1", "endpoint = e.id") " c WHERE TRUE")},
    {"sightings", WM_COUNT_OF(WM_THERE_AT("?1", "s"))},
    {"denied", WM_COUNT_OF(WM_THERE_AND_SAID("3"))},
    {"warned", WM_COUNT_OF(WM_THERE_AND_SAID("2"))},
    {"key_sha256", WM_OF_NEWEST_KEY("key_id", "k.added_us <= ?1")},
    {"key_added_time", WM_OF_NEWEST_KEY("added_us", "k.added_us <= ?1")},
    {"revoked_time", "CASE WHEN e.revoked_us <= ?1 THEN e.revoked_us END"},
    {"revoked_reason", "CASE WHEN e.revoked_us <= ?1 THEN e.revoked_reason ELSE '' END"},
};
#undef WM_THERE_AND_SAID
#undef WM_COUNT_OF
#undef WM_OF_NEWEST_KEY
#undef WM_COLUMNS_OF_ALL_ENDPOINTS

#define WM_COLUMNS_OF_ALL_SIGHTINGS(path_index)                                                    \
  {"endpoint_id", "s.endpoint", kEndpointOfId, "$", 2},                                            \
      {"hostname", "hostname", "$", "s.endpoint IN (SELECT id FROM endpoints WHERE $)", 4},        \
      {"label", "labels", "$", "s.endpoint IN (SELECT id FROM endpoints WHERE $)", 4},             \
      {"path", "s.path_display", "$", "$", 3, false, path_index}, {"size", "s.size_bytes"},        \
      {"modified_time", "s.modified_us"}, {"owner", "s.owner"},                                    \
      {"format", "s.format", "$", "$", 8}, {"name", "s.name"}, {"architecture", "s.architecture"}, \
      {"license", "s.license", "$", "$", 7}, {"quantization", "s.quantization"},                   \
      {"owner_id", "sighting_owner_id(s.sighting)"}, {"tensors", "sighting_tensors(s.sighting)"},  \
      {"risk", "sighting_risks(s.sighting)"},                                                      \
      {"digest_detail", "sighting_digest_detail(s.sighting)"},                                     \
      {"verified_time", "sighting_verified_us(s.sighting)"}, {"parameters", "s.parameters"},       \
      {"weights_reason", "sighting_weights_reason(s.sighting)"},                                   \
      {"risk_severity", "s.risk_severity", "$", "$", 5}, {"digest_state", "s.digest_state"},       \
      {"sha256", "s.artifact", "(SELECT id FROM artifacts WHERE sha256 = $)", "$", 1},             \
      {"weights_digest", "s.weights", "(SELECT id FROM weights WHERE digest = $)", "$", 1}, {      \
    "first_seen_time", "s.first_seen_us", "$", "$", 9, true                                        \
  }

// A row has its last verdict beside it. What is present can be found by it; some audits are asked
// for as a range, because SQLite goes by an index for that.
#define WM_COLUMNS_OF_LAST_VERDICTS                                                     \
  {"rule", "coalesce(s.rule, '')"},                                                     \
      {"reason", "coalesce(verdict_reason(" WM_LAST_WHOLE_VERDICT "), '')"},            \
      {"link", "coalesce(verdict_link(" WM_LAST_WHOLE_VERDICT "), '')"},                \
      {"until_time", "verdict_until_us(" WM_LAST_WHOLE_VERDICT ")"},                    \
      {"policy_version", "s.policy_version"}, {"basis", "s.basis"}, {"step", "s.step"}, \
      {"severity", "s.severity"}, {                                                     \
    "mode", "s.mode"                                                                    \
  }
constexpr ListColumn kPresentColumns[] = {
    WM_COLUMNS_OF_ALL_SIGHTINGS("sightings_present_by_path"),
    WM_COLUMNS_OF_LAST_VERDICTS,
    {"verdict", "s.outcome", "$", "$", 6},
    {"audit", "s.audits", "$", "(s.audits > '' AND $)", 7},
    {"last_change_time", "s.last_change_us"},
    {"present", "1"},
};
constexpr ListColumn kAllColumns[] = {
    WM_COLUMNS_OF_ALL_SIGHTINGS("sightings_by_path"),
    WM_COLUMNS_OF_LAST_VERDICTS,
    {"verdict", "s.outcome"},
    {"audit", "s.audits"},
    {"last_change_time", "coalesce(s.gone_us, s.last_change_us)"},
    {"present", "s.gone_us IS NULL"},
};
#undef WM_COLUMNS_OF_LAST_VERDICTS
constexpr ListColumn kPastColumns[] = {
    WM_COLUMNS_OF_ALL_SIGHTINGS("sightings_by_path"),
    {"verdict", WM_VERDICT_AT("?1", "outcome"), "$", "$", 0, false, "sightings_by_endpoint"},
    {"rule", "coalesce(" WM_VERDICT_AT("?1", "rule") ", '')"},
    {"reason", "coalesce(verdict_reason(" WM_WHOLE_VERDICT_AT("?1") "), '')"},
    {"link", "coalesce(verdict_link(" WM_WHOLE_VERDICT_AT("?1") "), '')"},
    {"until_time", "verdict_until_us(" WM_WHOLE_VERDICT_AT("?1") ")"},
    {"policy_version", WM_VERDICT_AT("?1", "policy_version")},
    {"basis", WM_VERDICT_AT("?1", "basis")},
    {"step", WM_VERDICT_AT("?1", "step")},
    {"severity", WM_VERDICT_AT("?1", "severity")},
    {"mode", WM_VERDICT_AT("?1", "mode")},
    {"audit", "coalesce(" WM_VERDICT_AT("?1", "audits") ", '')"},
    {"last_change_time", "s.last_change_us"},
    {"present", "1"},
};
#undef WM_COLUMNS_OF_ALL_SIGHTINGS

// Of one sighting of the artifact: the first that is present, otherwise the first that went.
#define WM_OF_ONE_SIGHTING(column, condition)                                    \
  "(SELECT s." column " FROM sightings s WHERE s.artifact = a.id AND " condition \
  " ORDER BY s.gone_us, s.id LIMIT 1)"
#define WM_COLUMNS_OF_ARTIFACTS(there, seen)                                                    \
  {"sha256", "a.sha256"},                                                                       \
      {"places", "(SELECT count(*) FROM sightings s WHERE s.artifact = a.id AND " there ")"},   \
      {"endpoints",                                                                             \
       "(SELECT count(DISTINCT s.endpoint) FROM sightings s WHERE s.artifact = a.id AND " there \
       ")"},                                                                                    \
      {"first_seen_time",                                                                       \
       "(SELECT min(s.first_seen_us) FROM sightings s WHERE s.artifact = a.id)"},               \
      {"format", WM_OF_ONE_SIGHTING("format", seen)},                                           \
      {"name", "coalesce(" WM_OF_ONE_SIGHTING("name", seen) ", '')"},                           \
      {"license", "coalesce(" WM_OF_ONE_SIGHTING("license", seen) ", '')"}, {                   \
    "size", WM_OF_ONE_SIGHTING("size_bytes", seen)                                              \
  }
constexpr ListColumn kArtifactColumns[] = {WM_COLUMNS_OF_ARTIFACTS("s.gone_us IS NULL", "TRUE")};
constexpr ListColumn kPastArtifactColumns[] = {
    WM_COLUMNS_OF_ARTIFACTS(WM_THERE_AT("?1", "s"), "s.first_seen_us <= ?1")};
#undef WM_COLUMNS_OF_ARTIFACTS
#undef WM_OF_ONE_SIGHTING

constexpr ListColumn kEventColumns[] = {
    {"chain_id", "c.chain_id"},
    {"number", "v.number"},
    {"kind", "v.kind"},
    {"time", "v.wall_us"},
    {"sha256", "v.artifact", "(SELECT id FROM artifacts WHERE sha256 = $)"},
    {"path", "coalesce(event_path(v.body), '')"},
};

#define WM_COLUMNS_OF_ALL_POLICIES                                                      \
  {"version", "b.version"}, {"published_time", "b.published_us"}, {"floor", "b.floor"}, \
      {"manifest_sha256", "b.manifest_sha256"}, {"published_by", "b.publisher"}, {      \
    "published_by_token_id", "nullif(b.publisher_id, x'')"                              \
  }
constexpr ListColumn kPolicyColumns[] = {
    WM_COLUMNS_OF_ALL_POLICIES,
    {"endpoints_in_force", WM_IN_FORCE("b.version", "TRUE")},
    {"endpoints_partly", WM_IN_FORCE("b.version", "policy_partly = 1")},
};
constexpr ListColumn kPastPolicyColumns[] = {
    WM_COLUMNS_OF_ALL_POLICIES,
    {"endpoints_in_force", WM_IN_FORCE_AT("?1", "b.version", "TRUE", "TRUE")},
    {"endpoints_partly", WM_IN_FORCE_AT("?1", "b.version", "policy_partly = 1", "partly = 1")},
};
#undef WM_COLUMNS_OF_ALL_POLICIES

#define WM_COLUMNS_OF_FINDINGS(state)                                                   \
  {"finding_id", "f.id"}, {"rule", "f.rule"}, {"endpoint_id", "e.endpoint_id"},         \
      {"hostname", "e.hostname"}, {"subject", "f.subject"}, {"severity", "f.severity"}, \
      {"state", state}, {"detail", "f.detail"}, {"first_time", "f.first_us"},           \
      {"last_time", "f.last_us"}, {"count", "f.count"}, {                               \
    "label", "e.labels"                                                                 \
  }
constexpr ListColumn kFindingColumns[] = {WM_COLUMNS_OF_FINDINGS("f.state")};
constexpr ListColumn kPastFindingColumns[] = {WM_COLUMNS_OF_FINDINGS(WM_FINDING_STATE_AT("?1"))};
#undef WM_COLUMNS_OF_FINDINGS

constexpr ListColumn kExceptionColumns[] = {
    {"exception_id", "x.exception_id"},
    {"endpoint_id", "nullif(x.scope, x'')"},
    {"sha256", "x.sha256"},
    {"weights_digest", "x.weights"},
    {"user", "x.user"},
    {"overrides", "x.overrides"},
    {"reason", "x.reason"},
    {"expires_time", "x.expires_us"},
    {"version", "x.version"},
    {"granted_time", "x.granted_us"},
    {"granted_by", "x.publisher"},
    {"granted_by_token_id", "nullif(x.publisher_id, x'')"},
    {"withdrawn_time", "CASE WHEN x.withdrawn_us <= ?1 THEN x.withdrawn_us END"},
};

constexpr ListColumn kChangeColumns[] = {
    {"position", "h.position"},
    {"time", "h.time_us"},
    {"topic", "h.topic"},
    {"endpoint_id", "nullif(h.endpoint, x'')"},
    {"chain_id", "nullif(h.chain, x'')"},
    {"number", "h.number"},
    {"count", "h.count"},
};

constexpr ListColumn kAdminTokenColumns[] = {
    {"token_id", "t.token_id"},
    {"name", "t.name"},
    {"role", "t.role"},
    {"scope", "t.scope"},
    {"created_time", "t.created_us"},
    {"created_by_token_id", "t.created_by"},
    {"expires_time", "t.expires_us"},
    {"revoked_time", "t.revoked_us"},
};

constexpr ListColumn kAuditColumns[] = {
    {"number", "a.number"},
    {"time", "a.time_us"},
    {"token_id", "a.token_id"},
    {"token_name", "a.token_name"},
    {"method", "a.method"},
    {"outcome", "a.outcome"},
    {"begun_number", "a.begun_number"},
    {"code", "a.code"},
    {"summary", "a.summary"},
};

}  // namespace

const ListTable& EndpointTable() {
  static const ListTable kTable{query::Endpoints(), "endpoints e", "e.id", kEndpointColumns};
  return kTable;
}
const ListTable& PastEndpointTable() {
  static const ListTable kTable{query::Endpoints(), "endpoints e", "e.id", kPastEndpointColumns};
  return kTable;
}
const ListTable& PresentSightingTable() {
  static const ListTable kTable{query::Sightings(), "sightings s", "s.id", kPresentColumns};
  return kTable;
}
const ListTable& AllSightingTable() {
  static const ListTable kTable{query::Sightings(), "sightings s", "s.id", kAllColumns};
  return kTable;
}
const ListTable& PastSightingTable() {
  static const ListTable kTable{query::Sightings(), "sightings s", "s.id", kPastColumns};
  return kTable;
}
const ListTable& ArtifactTable() {
  static const ListTable kTable{query::Artifacts(), "artifacts a", "a.id", kArtifactColumns};
  return kTable;
}
const ListTable& PastArtifactTable() {
  static const ListTable kTable{query::Artifacts(), "artifacts a", "a.id", kPastArtifactColumns};
  return kTable;
}
const ListTable& EventTable() {
  static const ListTable kTable{query::Events(), "chains c JOIN events v ON v.chain = c.id",
                                "(v.chain << 40) + v.number", kEventColumns};
  return kTable;
}
const ListTable& PolicyTable() {
  static const ListTable kTable{query::Policies(), "bundles b", "b.version", kPolicyColumns};
  return kTable;
}
const ListTable& PastPolicyTable() {
  static const ListTable kTable{query::Policies(), "bundles b", "b.version", kPastPolicyColumns};
  return kTable;
}
const ListTable& FindingTable() {
  static const ListTable kTable{query::Findings(),
                                "findings f JOIN endpoints e ON e.id = f.endpoint", "f.id",
                                kFindingColumns};
  return kTable;
}
const ListTable& PastFindingTable() {
  static const ListTable kTable{query::Findings(),
                                "findings f JOIN endpoints e ON e.id = f.endpoint", "f.id",
                                kPastFindingColumns};
  return kTable;
}
const ListTable& ExceptionTable() {
  static const ListTable kTable{query::Exceptions(), "exceptions x", "x.id", kExceptionColumns};
  return kTable;
}
const ListTable& ChangeTable() {
  static const ListTable kTable{query::Changes(), "changes h", "h.position", kChangeColumns};
  return kTable;
}
const ListTable& AdminTokenTable() {
  static const ListTable kTable{query::AdminTokens(), "admin_tokens t", "t.id", kAdminTokenColumns};
  return kTable;
}
const ListTable& AuditTable() {
  static const ListTable kTable{query::AuditEntries(), "audit a", "a.number", kAuditColumns};
  return kTable;
}

const ListColumn& ColumnOf(const ListTable& table, const query::Field& field) {
  const auto found = std::ranges::find(table.columns, field.name, &ListColumn::field);
  WM_CHECK(found != table.columns.end());
  return *found;
}

}  // namespace weighmaster::server::store
