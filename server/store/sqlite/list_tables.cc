#include "server/store/sqlite/list_tables.h"

#include <algorithm>

#include "policy/base/check.h"

namespace weighmaster::server::store {
namespace {

constexpr std::string_view kEndpointOfId = "(SELECT id FROM endpoints WHERE endpoint_id = $)";

#define WM_OF_NEWEST_KEY(column) \
  "(SELECT k." column " FROM keys k WHERE k.endpoint = e.id ORDER BY k.id DESC LIMIT 1)"
constexpr ListColumn kEndpointColumns[] = {
    {"endpoint_id", "e.endpoint_id"},
    {"hostname", "e.hostname"},
    {"os", "e.os"},
    {"agent_version", "e.agent_version"},
    {"state", "e.state"},
    {"enrolled_time", "e.enrolled_us"},
    {"last_contact_time", "e.last_contact_us"},
    {"clock_offset", "e.clock_offset_us"},
    {"policy_version", "e.policy_version"},
    {"policy_partly", "e.policy_partly"},
    {"sightings",
     "(SELECT count(*) FROM sightings s WHERE s.endpoint = e.id AND s.gone_us IS NULL)"},
    {"denied",
     "(SELECT count(*) FROM sightings s WHERE s.endpoint = e.id AND s.gone_us IS NULL AND "
     "s.outcome > 1 AND s.outcome = 3)"},
    {"warned",
     "(SELECT count(*) FROM sightings s WHERE s.endpoint = e.id AND s.gone_us IS NULL AND "
     "s.outcome > 1 AND s.outcome = 2)"},
    {"events_stored",
     "(SELECT coalesce(sum(c.events_stored), 0) FROM chains c WHERE c.endpoint = e.id)"},
    {"events_dropped",
     "(SELECT coalesce(sum(c.events_dropped), 0) FROM chains c WHERE c.endpoint = e.id)"},
    {"key_sha256", WM_OF_NEWEST_KEY("key_id")},
    {"key_added_time", WM_OF_NEWEST_KEY("added_us")},
    {"revoked_time", "e.revoked_us"},
    {"revoked_reason", "coalesce(e.revoked_reason, '')"},
    {"label", "e.labels"},
};
#undef WM_OF_NEWEST_KEY

#define WM_COLUMNS_OF_ALL_SIGHTINGS                                                                \
  {"endpoint_id", "s.endpoint", kEndpointOfId, "$", 2},                                            \
      {"hostname", "hostname", "$", "s.endpoint IN (SELECT id FROM endpoints WHERE $)", 4},        \
      {"label", "labels", "$", "s.endpoint IN (SELECT id FROM endpoints WHERE $)", 4},             \
      {"path", "s.path_display", "$", "$", 3, false, "sightings_by_path"},                         \
      {"size", "s.size_bytes"}, {"modified_time", "s.modified_us"}, {"owner", "s.owner"},          \
      {"format", "s.format", "$", "$", 8}, {"name", "s.name"}, {"architecture", "s.architecture"}, \
      {"license", "s.license", "$", "$", 7}, {"quantization", "s.quantization"},                   \
      {"parameters", "s.parameters"}, {"risk_severity", "s.risk_severity", "$", "$", 5},           \
      {"digest_state", "s.digest_state"},                                                          \
      {"sha256", "s.artifact", "(SELECT id FROM artifacts WHERE sha256 = $)", "$", 1},             \
      {"weights_digest", "s.weights", "(SELECT id FROM weights WHERE digest = $)", "$", 1}, {      \
    "first_seen_time", "s.first_seen_us", "$", "$", 9, true                                        \
  }

// What is present has its newest verdict beside it, so that it can be found by it. Some audits are
// asked for as a range, because SQLite goes by an index for that.
constexpr ListColumn kPresentColumns[] = {
    WM_COLUMNS_OF_ALL_SIGHTINGS,
    {"verdict", "s.outcome", "$", "$", 6},
    {"rule", "coalesce(s.rule, '')"},
    {"basis", "s.basis"},
    {"step", "s.step"},
    {"severity", "s.severity"},
    {"mode", "s.mode"},
    {"audit", "s.audits", "$", "(s.audits > '' AND $)", 7},
    {"last_change_time", "s.last_change_us"},
    {"present", "1"},
};
constexpr ListColumn kAllColumns[] = {
    WM_COLUMNS_OF_ALL_SIGHTINGS,
    {"verdict", WM_VERDICT_AT(WM_LAST_MOMENT, "outcome")},
    {"rule", "coalesce(" WM_VERDICT_AT(WM_LAST_MOMENT, "rule") ", '')"},
    {"basis", WM_VERDICT_AT(WM_LAST_MOMENT, "basis")},
    {"step", WM_VERDICT_AT(WM_LAST_MOMENT, "step")},
    {"severity", WM_VERDICT_AT(WM_LAST_MOMENT, "severity")},
    {"mode", WM_VERDICT_AT(WM_LAST_MOMENT, "mode")},
    {"audit", "coalesce(" WM_VERDICT_AT(WM_LAST_MOMENT, "audits") ", '')"},
    {"last_change_time", "coalesce(s.gone_us, s.last_change_us)"},
    {"present", "s.gone_us IS NULL"},
};
constexpr ListColumn kPastColumns[] = {
    WM_COLUMNS_OF_ALL_SIGHTINGS,
    {"verdict", WM_VERDICT_AT("?1", "outcome")},
    {"rule", "coalesce(" WM_VERDICT_AT("?1", "rule") ", '')"},
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
#define WM_OF_ONE_SIGHTING(column)                                            \
  "(SELECT s." column                                                         \
  " FROM sightings s WHERE s.artifact = a.id ORDER BY s.gone_us, s.id LIMIT " \
  "1)"
constexpr ListColumn kArtifactColumns[] = {
    {"sha256", "a.sha256"},
    {"places", "(SELECT count(*) FROM sightings s WHERE s.artifact = a.id AND s.gone_us IS NULL)"},
    {"endpoints",
     "(SELECT count(DISTINCT s.endpoint) FROM sightings s WHERE s.artifact = a.id AND s.gone_us IS "
     "NULL)"},
    {"first_seen_time", "(SELECT min(s.first_seen_us) FROM sightings s WHERE s.artifact = a.id)"},
    {"format", WM_OF_ONE_SIGHTING("format")},
    {"name", "coalesce(" WM_OF_ONE_SIGHTING("name") ", '')"},
    {"license", "coalesce(" WM_OF_ONE_SIGHTING("license") ", '')"},
    {"size", WM_OF_ONE_SIGHTING("size_bytes")},
};
#undef WM_OF_ONE_SIGHTING

constexpr ListColumn kEventColumns[] = {
    {"chain_id", "c.chain_id"},
    {"number", "v.number"},
    {"kind", "v.kind"},
    {"time", "v.wall_us"},
    {"sha256", "v.artifact", "(SELECT id FROM artifacts WHERE sha256 = $)"},
};

constexpr ListColumn kPolicyColumns[] = {
    {"version", "b.version"},
    {"published_time", "b.published_us"},
    {"floor", "b.floor"},
    {"manifest_sha256", "b.manifest_sha256"},
    {"endpoints_in_force",
     "(SELECT count(*) FROM endpoints e WHERE e.policy_version = b.version AND e.state <> 2)"},
    {"endpoints_partly",
     "(SELECT count(*) FROM endpoints e WHERE e.policy_version = b.version AND e.policy_partly = 1 "
     "AND e.state <> 2)"},
    {"published_by", "b.publisher"},
    {"published_by_token_id", "nullif(b.publisher_id, x'')"},
};

constexpr ListColumn kFindingColumns[] = {
    {"finding_id", "f.id"},     {"rule", "f.rule"},       {"endpoint_id", "e.endpoint_id"},
    {"hostname", "e.hostname"}, {"subject", "f.subject"}, {"severity", "f.severity"},
    {"state", "f.state"},       {"detail", "f.detail"},   {"first_time", "f.first_us"},
    {"last_time", "f.last_us"}, {"count", "f.count"},     {"label", "e.labels"},
};

constexpr ListColumn kExceptionColumns[] = {
    {"endpoint_id", "nullif(x.scope, x'')"},
    {"version", "x.version"},
    {"published_time", "x.published_us"},
    {"published_by", "x.publisher"},
    {"published_by_token_id", "nullif(x.publisher_id, x'')"},
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
const ListTable& PresentSightingTable() {
  static const ListTable kTable{query::Sightings(), "sightings s", "s.id", kPresentColumns};
  return kTable;
}
const ListTable& AllSightingTable() {
  static const ListTable kTable{query::Sightings(), WM_SIGHTINGS_AND_VERDICTS, "s.id", kAllColumns};
  return kTable;
}
const ListTable& PastSightingTable() {
  static const ListTable kTable{query::Sightings(), WM_SIGHTINGS_AND_VERDICTS, "s.id",
                                kPastColumns};
  return kTable;
}
const ListTable& ArtifactTable() {
  static const ListTable kTable{query::Artifacts(), "artifacts a", "a.id", kArtifactColumns};
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
const ListTable& FindingTable() {
  static const ListTable kTable{query::Findings(),
                                "findings f JOIN endpoints e ON e.id = f.endpoint", "f.id",
                                kFindingColumns};
  return kTable;
}
const ListTable& ExceptionTable() {
  static const ListTable kTable{query::Exceptions(), "exception_sets x", "x.id", kExceptionColumns};
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
