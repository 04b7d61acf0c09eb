#include "server/query/lists.h"

#include <algorithm>

namespace weighmaster::server::query {
namespace {

using enum FieldType;

constexpr bool kOrders = true;
constexpr bool kUnordered = false;
constexpr bool kMayLack = true;
constexpr bool kAlways = false;

constexpr Choice kStates[] = {{"active", 1}, {"revoked", 2}, {"quarantined", 3}};
constexpr Choice kCoverage[] = {{"looked", 1}, {"partly", 2}, {"could_not", 3}};
constexpr Choice kOutcomes[] = {{"allow", 1}, {"warn", 2}, {"deny", 3}};
constexpr Choice kBases[] = {{"verified", 1}, {"claimed", 2}, {"partial", 3}};
constexpr Choice kModes[] = {{"observe", 0}, {"warn", 1}, {"enforce", 2}};
constexpr Choice kSteps[] = {{"blocked", 1},  {"exception", 2}, {"denied", 3}, {"always_rule", 4},
                             {"approved", 5}, {"rule", 6},      {"default", 7}};
constexpr Choice kFormats[] = {{"unknown", 0},
                               {"gguf", 1},
                               {"safetensors", 2},
                               {"pytorch_zip", 3},
                               {"pickle", 4},
                               {"onnx", 5},
                               {"ggml", 6},
                               {"pytorch_legacy", 7},
                               {"pytorch_tar", 8},
                               {"torchscript", 9},
                               {"pytorch_export", 10},
                               {"joblib", 11},
                               {"numpy", 12},
                               {"numpy_zip", 13},
                               {"ort", 14},
                               {"tf_saved_model", 15},
                               {"tf_graph", 16},
                               {"tf_checkpoint", 17},
                               {"keras", 18},
                               {"keras_hdf5", 19},
                               {"tflite", 20},
                               {"litert_lm", 21},
                               {"executorch", 22},
                               {"coreml", 23},
                               {"coreml_weights", 24},
                               {"coreml_compiled", 25},
                               {"tensorrt", 26},
                               {"openvino", 27},
                               {"mnn", 28},
                               {"ncnn", 29},
                               {"rknn", 30},
                               {"paddle", 31},
                               {"llamafile", 32},
                               {"skops", 33},
                               {"torchserve", 34},
                               {"nemo", 35},
                               {"flax", 36},
                               {"dduf", 37},
                               {"lightgbm", 38},
                               {"xgboost", 39},
                               {"catboost", 40},
                               {"pmml", 41},
                               {"torch7", 42},
                               {"tf_js", 43}};
constexpr Choice kSeverities[] = {
    {"info", 1}, {"low", 2}, {"medium", 3}, {"high", 4}, {"critical", 5}};
constexpr Choice kDigestStates[] = {{"pending", 1}, {"claimed", 2}, {"verified", 3}, {"failed", 4}};
constexpr Choice kWeightsReasons[] = {{"no_tensors", 1}, {"incomplete", 2},   {"unknown_type", 3},
                                      {"repeats", 4},    {"sparse", 5},       {"scales", 6},
                                      {"packed", 7},     {"not_supported", 8}};
constexpr Choice kEventKinds[] = {
    {"unknown", 0},         {"sighting_appeared", 16}, {"sighting_changed", 17},
    {"sighting_gone", 18},  {"sighting_judged", 19},   {"coverage_changed", 20},
    {"policy_applied", 21}, {"policy_refused", 22},    {"chain_started", 23},
    {"key_changed", 24},    {"bodies_dropped", 25},    {"agent_started", 26}};
constexpr Choice kFindingStates[] = {
    {"open", 1}, {"resolved", 2}, {"acknowledged", 3}, {"dismissed", 4}};
constexpr Choice kTopics[] = {
    {"events", 1}, {"finding", 2}, {"policy", 3}, {"exceptions", 4}, {"endpoint", 5}};
constexpr Choice kRoles[] = {{"viewer", 1}, {"responder", 2}, {"policy_author", 3}, {"admin", 4}};
constexpr Choice kAuditOutcomes[] = {{"begun", 1}, {"done", 2}, {"failed", 3}, {"refused", 4}};

constexpr Field kEndpointFields[] = {
    {"endpoint_id", kId, kOrders, kAlways, "its id", {}},
    {"hostname", kText, kOrders, kMayLack, "as the machine names itself", {}},
    {"os", kText, kOrders, kMayLack, "operating system", {}},
    {"agent_version", kText, kOrders, kMayLack, "version of the agent at its last contact", {}},
    {"state", kChoice, kOrders, kAlways, "whether it is listened to", kStates},
    {"enrolled_time", kTime, kOrders, kAlways, "when it enrolled", {}},
    {kConnected, kFlag, kUnordered, kAlways, "whether its stream to the server is open now", {}},
    {"coverage", kChoice, kOrders, kAlways, "how well it was looked at as a whole", kCoverage},
    {"last_contact_time", kTime, kOrders, kMayLack, "when it was last heard of or connected", {}},
    {"clock_offset", kDuration, kOrders, kAlways, "the server's clock minus its own", {}},
    {"policy_version", kNumber, kOrders, kAlways, "the policy in force; 0: none", {}},
    {"policy_partly", kFlag, kOrders, kAlways, "whether it lacks rules of that policy", {}},
    {"policy_since_time", kTime, kOrders, kMayLack, "since when that is so", {}},
    {"sightings", kNumber, kOrders, kAlways, "models that are on it now", {}},
    {"denied", kNumber, kOrders, kAlways, "of these, how many the policy denies", {}},
    {"warned", kNumber, kOrders, kAlways, "of these, how many the policy warns of", {}},
    {"events_stored", kNumber, kOrders, kAlways, "events of it that the server has", {}},
    {"events_dropped", kNumber, kOrders, kAlways, "events that it had to drop at a limit", {}},
    {"key_sha256", kDigest, kOrders, kAlways, "of its current public key", {}},
    {"key_added_time", kTime, kOrders, kAlways, "since when that is its key", {}},
    {"revoked_time", kTime, kOrders, kMayLack, "when it was revoked", {}},
    {"revoked_reason", kText, kOrders, kMayLack, "what was said of it then", {}},
    {"label", kSet, kUnordered, kMayLack, "its labels, each KEY=VALUE", {}},
};

// Ordered by what has an index: there may be a million rows.
constexpr Field kSightingFields[] = {
    {"endpoint_id", kId, kUnordered, kAlways, "on which endpoint", {}},
    {"hostname", kText, kUnordered, kMayLack, "name of that machine", {}},
    {"label", kSet, kUnordered, kMayLack, "the labels of that machine, each KEY=VALUE", {}},
    {"path", kText, kOrders, kAlways, "the file, escaped for display", {}},
    {"size", kNumber, kUnordered, kAlways, "bytes of the file", {}},
    {"modified_time", kTime, kUnordered, kAlways, "the file's time of change", {}},
    {"owner", kText, kUnordered, kMayLack, "name of the file's owner", {}},
    {"owner_id", kText, kUnordered, kMayLack, "uid or SID of the file's owner", {}},
    {"format", kChoice, kUnordered, kAlways, "recognised by content", kFormats},
    {"name", kText, kUnordered, kMayLack, "what the file calls itself", {}},
    {"architecture", kText, kUnordered, kMayLack, "as the file says", {}},
    {"license", kText, kUnordered, kMayLack, "as the file says", {}},
    {"quantization", kText, kUnordered, kMayLack, "as the file says", {}},
    {"parameters", kNumber, kUnordered, kMayLack, "as the file says", {}},
    {"tensors", kNumber, kUnordered, kMayLack, "how many it has, as the file says", {}},
    {"risk", kSet, kUnordered, kMayLack, "the ids of its risks", {}},
    {"risk_severity", kChoice, kUnordered, kMayLack, "of its gravest risk", kSeverities},
    {"digest_state", kChoice, kUnordered, kAlways, "where its digest stands", kDigestStates},
    {"digest_detail", kText, kUnordered, kMayLack, "who claims it, or why it failed", {}},
    {"verified_time", kTime, kUnordered, kMayLack, "when it was verified", {}},
    {"sha256", kDigest, kUnordered, kMayLack, "of the file, claimed or verified", {}},
    {"weights_digest", kDigest, kUnordered, kMayLack, "of its weights, whatever packs them", {}},
    {"weights_reason", kChoice, kUnordered, kMayLack, "why its weights have no digest",
     kWeightsReasons},
    {"verdict", kChoice, kUnordered, kMayLack, "what the policy says of it", kOutcomes},
    {"rule", kText, kUnordered, kMayLack, "the rule or step that decided", {}},
    {"reason", kText, kUnordered, kMayLack, "the sentence for the person at the endpoint", {}},
    {"link", kText, kUnordered, kMayLack, "the address with more for that person", {}},
    {"until_time",
     kTime,
     kUnordered,
     kMayLack,
     "until when the verdict holds, if there is a bound",
     {}},
    {"policy_version",
     kNumber,
     kUnordered,
     kMayLack,
     "the policy that judged it; 0: a local one",
     {}},
    {"basis", kChoice, kUnordered, kMayLack, "what the verdict rests on", kBases},
    {"step", kChoice, kUnordered, kMayLack, "the step of judgement that decided", kSteps},
    {"severity", kChoice, kUnordered, kMayLack, "how grave the verdict is", kSeverities},
    {"mode", kChoice, kUnordered, kMayLack, "what is done about the verdict", kModes},
    {"audit", kSet, kUnordered, kMayLack, "the audit rules that would have decided", {}},
    {"first_seen_time", kTime, kOrders, kAlways, "begin of the interval", {}},
    {"last_change_time", kTime, kUnordered, kAlways, "when it last changed, or went", {}},
    {"present", kFlag, kUnordered, kAlways, "whether it is there (at that moment)", {}},
};

constexpr Field kArtifactFields[] = {
    {"sha256", kDigest, kOrders, kAlways, "of the file, claimed or verified", {}},
    {"places", kNumber, kOrders, kAlways, "sightings of it that are present now", {}},
    {"endpoints", kNumber, kUnordered, kAlways, "on how many endpoints", {}},
    {"first_seen_time", kTime, kUnordered, kMayLack, "when it was first seen anywhere", {}},
    {"format", kChoice, kUnordered, kMayLack, "as one of its sightings says", kFormats},
    {"name", kText, kUnordered, kMayLack, "as one of its sightings says", {}},
    {"license", kText, kUnordered, kMayLack, "as one of its sightings says", {}},
    {"size", kNumber, kUnordered, kMayLack, "bytes of the file", {}},
};

constexpr Field kEventFields[] = {
    {"chain_id", kId, kOrders, kAlways, "the chain", {}},
    {"number", kNumber, kOrders, kAlways, "its number in the chain", {}},
    {"kind", kChoice, kOrders, kAlways, "what happened; unknown: its body is gone", kEventKinds},
    {"time", kTime, kOrders, kMayLack, "when, by the endpoint's clock", {}},
    {"sha256", kDigest, kUnordered, kMayLack, "of the file that it speaks of", {}},
    {"path", kText, kUnordered, kMayLack, "of the file or root that it speaks of, for display", {}},
};

constexpr Field kPolicyFields[] = {
    {"version", kNumber, kOrders, kAlways, "its version", {}},
    {"published_time", kTime, kOrders, kAlways, "when it was published", {}},
    {"floor", kNumber, kOrders, kAlways, "the lowest version that is accepted after it", {}},
    {"manifest_sha256", kDigest, kUnordered, kAlways, "of its manifest", {}},
    {"endpoints_in_force", kNumber, kOrders, kAlways, "endpoints that say it is in force", {}},
    {"endpoints_partly", kNumber, kOrders, kAlways, "of these, how many lack rules of it", {}},
    {"published_by", kText, kOrders, kMayLack, "the name of the token that published it", {}},
    {"published_by_token_id", kId, kUnordered, kMayLack, "that token", {}},
};

constexpr Field kExceptionFields[] = {
    {"exception_id", kId, kOrders, kAlways, "its id", {}},
    {"endpoint_id", kId, kOrders, kMayLack, "where it holds; the fleet's lack it", {}},
    {"sha256", kDigest, kOrders, kMayLack, "of the file", {}},
    {"weights_digest", kDigest, kOrders, kMayLack, "of the weights, where it is by them", {}},
    {"user", kText, kOrders, kMayLack, "whose files alone", {}},
    {"overrides", kText, kOrders, kAlways, "the rule, denied or default", {}},
    {"reason", kText, kUnordered, kAlways, "what verdicts say", {}},
    {"expires_time", kTime, kOrders, kAlways, "when it ends by itself", {}},
    {"version", kNumber, kOrders, kAlways, "of the set that brought it", {}},
    {"granted_time", kTime, kOrders, kAlways, "when that set was published", {}},
    {"granted_by", kText, kOrders, kMayLack, "the name of the token that published it", {}},
    {"granted_by_token_id", kId, kUnordered, kMayLack, "that token", {}},
    {"withdrawn_time", kTime, kOrders, kMayLack, "since when the sets are without it", {}},
};

constexpr Field kChangeFields[] = {
    {"position", kNumber, kUnordered, kAlways, "where it stands in the order of all changes", {}},
    {"time", kTime, kUnordered, kAlways, "when it was stored", {}},
    {"topic", kChoice, kUnordered, kAlways, "what kind of thing changed", kTopics},
    {"endpoint_id", kId, kUnordered, kMayLack, "whose", {}},
    {"chain_id", kId, kUnordered, kMayLack, "of events: the chain", {}},
    {"number", kNumber, kUnordered, kAlways, "of the first event, the finding or the version", {}},
    {"count", kNumber, kUnordered, kAlways, "of events: how many", {}},
};

constexpr Field kFindingFields[] = {
    {"finding_id", kNumber, kOrders, kAlways, "its number", {}},
    {"rule", kText, kOrders, kAlways, "what was found", {}},
    {"endpoint_id", kId, kOrders, kAlways, "on which endpoint", {}},
    {"hostname", kText, kOrders, kMayLack, "name of that machine", {}},
    {"subject", kText, kOrders, kMayLack, "what it is about, e.g. a path", {}},
    {"severity", kChoice, kOrders, kAlways, "how grave it is", kSeverities},
    {"state", kChoice, kOrders, kAlways, "whether it is to be worked on", kFindingStates},
    {"detail", kText, kUnordered, kMayLack, "a sentence", {}},
    {"first_time", kTime, kOrders, kAlways, "first seen", {}},
    {"last_time", kTime, kOrders, kAlways, "last seen", {}},
    {"count", kNumber, kOrders, kAlways, "how many times", {}},
    {"label", kSet, kUnordered, kMayLack, "the labels of that machine, each KEY=VALUE", {}},
};

constexpr Field kAdminTokenFields[] = {
    {"token_id", kId, kOrders, kAlways, "its id", {}},
    {"name", kText, kOrders, kAlways, "whose it is, or what for", {}},
    {"role", kChoice, kOrders, kAlways, "what it is there for", kRoles},
    {"scope", kText, kOrders, kMayLack, "what it may see", {}},
    {"created_time", kTime, kOrders, kAlways, "when it was made", {}},
    {"created_by_token_id", kId, kOrders, kMayLack, "the token that made it", {}},
    {"expires_time", kTime, kOrders, kMayLack, "when it expires", {}},
    {"revoked_time", kTime, kOrders, kMayLack, "when it was revoked", {}},
};

constexpr Field kAuditFields[] = {
    {"number", kNumber, kOrders, kAlways, "from 1, without a gap", {}},
    {"time", kTime, kOrders, kAlways, "when the row was written", {}},
    {"token_id", kId, kOrders, kAlways, "whose call it was", {}},
    {"token_name", kText, kOrders, kMayLack, "the name of that token", {}},
    {"method", kText, kOrders, kAlways, "what was called", {}},
    {"outcome", kChoice, kOrders, kAlways, "how far it came", kAuditOutcomes},
    {"begun_number", kNumber, kOrders, kAlways, "the row that began the call; 0: this one", {}},
    {"code", kNumber, kOrders, kAlways, "the error's number; 0: none", {}},
    {"summary", kText, kUnordered, kMayLack, "what was asked or answered", {}},
};

constexpr List kEndpoints{"endpoints", "the order of enrolment", false, kEndpointFields};
constexpr List kSightings{"sightings", "the order in which they were first stored", false,
                          kSightingFields};
constexpr List kArtifacts{"artifacts", "the order in which they were first told of", false,
                          kArtifactFields};
constexpr List kEvents{"events", "newest first", true, kEventFields};
constexpr List kPolicies{"policies", "newest first", true, kPolicyFields};
constexpr List kExceptions{"exceptions", "the order in which they were granted", false,
                           kExceptionFields};
constexpr List kFindings{"findings", "newest first", true, kFindingFields};
constexpr List kAdminTokens{"admin_tokens", "the order in which they were made", false,
                            kAdminTokenFields};
constexpr List kAuditEntries{"audit_entries", "oldest first", false, kAuditFields};
constexpr List kChanges{"changes", "oldest first", false, kChangeFields};
constexpr const List* kLists[] = {&kEndpoints,   &kSightings,   &kArtifacts, &kEvents,
                                  &kPolicies,    &kExceptions,  &kFindings,  &kChanges,
                                  &kAdminTokens, &kAuditEntries};

}  // namespace

std::string_view FieldTypeName(FieldType type) {
  switch (type) {
    case kText:
      return "text";
    case kSet:
      return "set";
    case kNumber:
      return "number";
    case kTime:
      return "time";
    case kDuration:
      return "duration";
    case kFlag:
      return "flag";
    case kChoice:
      return "choice";
    case kId:
      return "id";
    case kDigest:
      return "digest";
  }
  return "unknown";
}

bool IsBytes(FieldType type) {
  return type == kText || type == kSet || type == kId || type == kDigest;
}

const List& Endpoints() { return kEndpoints; }
const List& Sightings() { return kSightings; }
const List& Artifacts() { return kArtifacts; }
const List& Events() { return kEvents; }
const List& Policies() { return kPolicies; }
const List& Exceptions() { return kExceptions; }
const List& Findings() { return kFindings; }
const List& Changes() { return kChanges; }
const List& AdminTokens() { return kAdminTokens; }
const List& AuditEntries() { return kAuditEntries; }
std::span<const List* const> Lists() { return kLists; }

const Field* FindField(const List& list, std::string_view name) {
  const auto found = std::ranges::find(list.fields, name, &Field::name);
  return found == list.fields.end() ? nullptr : &*found;
}

}  // namespace weighmaster::server::query
