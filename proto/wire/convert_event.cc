#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "proto/wire/fields.h"
#include "weighmaster/v1/event.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;

void WriteId(const model::Id& id, std::string& out) {
  if (!id.is_zero()) out = WireBytes(id.view());
}

void WriteDigest(const model::Sha256& digest, std::string& out) {
  if (digest != model::Sha256{}) out = WireBytes(digest.view());
}

// Writes the body of an event, one overload for each kind.
struct BodyWriter {
  v1::Event& out;

  void operator()(const model::SightingAppeared& body) const {
    ToProto(body.sighting, *out.mutable_sighting_appeared()->mutable_sighting());
  }
  void operator()(const model::SightingChanged& body) const {
    ToProto(body.sighting, *out.mutable_sighting_changed()->mutable_sighting());
  }
  void operator()(const model::SightingGone& body) const {
    v1::SightingGone& proto = *out.mutable_sighting_gone();
    ToProto(body.path, *proto.mutable_path());
    proto.set_reason(static_cast<v1::GoneReason>(body.reason));
  }
  void operator()(const model::SightingJudged& body) const {
    v1::SightingJudged& proto = *out.mutable_sighting_judged();
    ToProto(body.path, *proto.mutable_path());
    if (body.sha256) proto.set_sha256(WireBytes(body.sha256->view()));
    ToProto(body.verdict, *proto.mutable_verdict());
  }
  void operator()(const model::CoverageChanged& body) const {
    ToProto(body.coverage, *out.mutable_coverage_changed()->mutable_coverage());
  }
  void operator()(const model::PolicyApplied& body) const {
    v1::PolicyApplied& proto = *out.mutable_policy_applied();
    proto.set_version(body.version);
    proto.set_manifest_sha256(WireBytes(body.manifest.view()));
    proto.set_partly(body.partly);
    proto.set_missing_features(WireText(body.missing_features, limits::kMaxSentenceBytes));
    proto.set_judged(body.judged);
    proto.set_changed(body.changed);
    proto.set_allow(body.allow);
    proto.set_warn(body.warn);
    proto.set_deny(body.deny);
  }
  void operator()(const model::PolicyRefused& body) const {
    v1::PolicyRefused& proto = *out.mutable_policy_refused();
    proto.set_version(body.version);
    proto.set_refusal(static_cast<v1::PolicyRefusal>(body.refusal));
    proto.set_detail(WireText(body.detail, limits::kMaxSentenceBytes));
  }
  void operator()(const model::ChainStarted& body) const {
    v1::ChainStarted& proto = *out.mutable_chain_started();
    proto.set_reason(static_cast<v1::ChainReason>(body.reason));
    WriteId(body.old_chain, *proto.mutable_old_chain_id());
    proto.set_old_number(body.old_number);
    WriteDigest(body.old_header, *proto.mutable_old_header_digest());
  }
  void operator()(const model::BodiesDropped& body) const {
    v1::BodiesDropped& proto = *out.mutable_bodies_dropped();
    proto.set_priority(static_cast<v1::PriorityClass>(body.priority));
    proto.set_count(body.count);
  }
  void operator()(const model::AgentStarted& body) const {
    v1::AgentStarted& proto = *out.mutable_agent_started();
    proto.set_version(WireText(body.version, limits::kMaxFactBytes));
    proto.set_os(WireText(body.os, limits::kMaxFactBytes));
    proto.set_os_release(WireText(body.os_release, limits::kMaxFactBytes));
    proto.set_hostname(WireText(body.hostname, limits::kMaxFactBytes));
  }
};

v1::Facts* FactsIn(v1::Event& event) {
  if (event.has_sighting_appeared()) {
    return event.mutable_sighting_appeared()->mutable_sighting()->mutable_facts();
  }
  if (event.has_sighting_changed()) {
    return event.mutable_sighting_changed()->mutable_sighting()->mutable_facts();
  }
  return nullptr;
}

// A path of 32 KiB and 64 long risks do not fit one event together.
void CutRisks(v1::Event& event) {
  v1::Facts* facts = FactsIn(event);
  if (facts == nullptr || facts->risks().empty()) return;
  if (event.ByteSizeLong() <= limits::kMaxEventBytes) return;
  facts->mutable_risks()->RemoveLast();
  v1::Risk& note = *facts->add_risks();
  note.set_id("risks_cut");
  note.set_severity(v1::SEVERITY_INFO);
  note.set_message("More risks were found in this file than one event can hold.");
  while (event.ByteSizeLong() > limits::kMaxEventBytes && facts->risks_size() > 1) {
    facts->mutable_risks()->SwapElements(facts->risks_size() - 2, facts->risks_size() - 1);
    facts->mutable_risks()->RemoveLast();
  }
}

base::Result<model::EventBody> ReadGone(const v1::SightingGone& in) {
  model::SightingGone body;
  WM_ASSIGN_OR_RETURN(body.path, FromProto(in.path()));
  WM_ASSIGN_OR_RETURN(body.reason,
                      ReadEnum<model::GoneReason>(in.reason(), "sighting_gone.reason"));
  return model::EventBody(std::move(body));
}

base::Result<model::EventBody> ReadJudged(const v1::SightingJudged& in) {
  model::SightingJudged body;
  WM_ASSIGN_OR_RETURN(body.path, FromProto(in.path()));
  if (!in.sha256().empty()) {
    WM_ASSIGN_OR_RETURN(body.sha256, ReadSha256(in.sha256(), "sighting_judged.sha256"));
  }
  WM_ASSIGN_OR_RETURN(body.verdict, FromProto(in.verdict()));
  return model::EventBody(std::move(body));
}

base::Result<model::EventBody> ReadApplied(const v1::PolicyApplied& in) {
  model::PolicyApplied body;
  WM_ASSIGN_OR_RETURN(body.version, ReadCount(in.version(), "policy_applied.version"));
  WM_ASSIGN_OR_RETURN(body.manifest,
                      ReadSha256(in.manifest_sha256(), "policy_applied.manifest_sha256"));
  body.partly = in.partly();
  WM_ASSIGN_OR_RETURN(body.missing_features,
                      ReadText(in.missing_features(), limits::kMaxSentenceBytes,
                               "policy_applied.missing_features"));
  WM_ASSIGN_OR_RETURN(body.judged, ReadCount(in.judged(), "policy_applied.judged"));
  WM_ASSIGN_OR_RETURN(body.changed, ReadCount(in.changed(), "policy_applied.changed"));
  WM_ASSIGN_OR_RETURN(body.allow, ReadCount(in.allow(), "policy_applied.allow"));
  WM_ASSIGN_OR_RETURN(body.warn, ReadCount(in.warn(), "policy_applied.warn"));
  WM_ASSIGN_OR_RETURN(body.deny, ReadCount(in.deny(), "policy_applied.deny"));
  return model::EventBody(std::move(body));
}

base::Result<model::EventBody> ReadRefused(const v1::PolicyRefused& in) {
  model::PolicyRefused body;
  WM_ASSIGN_OR_RETURN(body.version, ReadCount(in.version(), "policy_refused.version"));
  WM_ASSIGN_OR_RETURN(body.refusal,
                      ReadEnum<model::PolicyRefusal>(in.refusal(), "policy_refused.refusal"));
  WM_ASSIGN_OR_RETURN(body.detail,
                      ReadText(in.detail(), limits::kMaxSentenceBytes, "policy_refused.detail"));
  return model::EventBody(std::move(body));
}

base::Result<model::EventBody> ReadChainStarted(const v1::ChainStarted& in) {
  model::ChainStarted body;
  WM_ASSIGN_OR_RETURN(body.reason,
                      ReadEnum<model::ChainReason>(in.reason(), "chain_started.reason"));
  if (!in.old_chain_id().empty()) {
    WM_ASSIGN_OR_RETURN(body.old_chain, ReadId(in.old_chain_id(), "chain_started.old_chain_id"));
  }
  WM_ASSIGN_OR_RETURN(body.old_number, ReadCount(in.old_number(), "chain_started.old_number"));
  if (!in.old_header_digest().empty()) {
    WM_ASSIGN_OR_RETURN(body.old_header,
                        ReadSha256(in.old_header_digest(), "chain_started.old_header_digest"));
  }
  return model::EventBody(body);
}

base::Result<model::EventBody> ReadDropped(const v1::BodiesDropped& in) {
  model::BodiesDropped body;
  WM_ASSIGN_OR_RETURN(body.priority,
                      ReadEnum<model::PriorityClass>(in.priority(), "bodies_dropped.priority"));
  WM_ASSIGN_OR_RETURN(body.count, ReadCount(in.count(), "bodies_dropped.count"));
  return model::EventBody(body);
}

base::Result<model::EventBody> ReadStarted(const v1::AgentStarted& in) {
  model::AgentStarted body;
  WM_ASSIGN_OR_RETURN(body.version,
                      ReadText(in.version(), limits::kMaxFactBytes, "agent_started.version"));
  WM_ASSIGN_OR_RETURN(body.os, ReadText(in.os(), limits::kMaxFactBytes, "agent_started.os"));
  WM_ASSIGN_OR_RETURN(body.os_release,
                      ReadText(in.os_release(), limits::kMaxFactBytes, "agent_started.os_release"));
  WM_ASSIGN_OR_RETURN(body.hostname,
                      ReadText(in.hostname(), limits::kMaxFactBytes, "agent_started.hostname"));
  return model::EventBody(std::move(body));
}

base::Result<model::EventBody> ReadBody(const v1::Event& in) {
  switch (in.body_case()) {
    case v1::Event::kSightingAppeared: {
      WM_ASSIGN_OR_RETURN(auto sighting, FromProto(in.sighting_appeared().sighting()));
      return model::EventBody(model::SightingAppeared{std::move(sighting)});
    }
    case v1::Event::kSightingChanged: {
      WM_ASSIGN_OR_RETURN(auto sighting, FromProto(in.sighting_changed().sighting()));
      return model::EventBody(model::SightingChanged{std::move(sighting)});
    }
    case v1::Event::kSightingGone:
      return ReadGone(in.sighting_gone());
    case v1::Event::kSightingJudged:
      return ReadJudged(in.sighting_judged());
    case v1::Event::kCoverageChanged: {
      WM_ASSIGN_OR_RETURN(auto coverage, FromProto(in.coverage_changed().coverage()));
      return model::EventBody(model::CoverageChanged{std::move(coverage)});
    }
    case v1::Event::kPolicyApplied:
      return ReadApplied(in.policy_applied());
    case v1::Event::kPolicyRefused:
      return ReadRefused(in.policy_refused());
    case v1::Event::kChainStarted:
      return ReadChainStarted(in.chain_started());
    case v1::Event::kBodiesDropped:
      return ReadDropped(in.bodies_dropped());
    case v1::Event::kAgentStarted:
      return ReadStarted(in.agent_started());
    case v1::Event::kKeyChanged:
    case v1::Event::BODY_NOT_SET:
      break;
  }
  return base::Error(base::ErrorCode::kUnimplemented,
                     "the event is of a kind that this build does not know");
}

}  // namespace

std::string SerialiseEvent(const model::Event& event) {
  v1::Event proto;
  proto.set_wall_time_us(WireTime(event.wall));
  proto.set_boot_time_us(event.boot.since_boot.count());
  proto.set_boot_id(WireBytes(event.boot_id.view()));
  std::visit(BodyWriter{proto}, event.body);
  CutRisks(proto);
  return proto.SerializeAsString();
}

base::Result<model::Event> ParseEvent(std::string_view bytes) {
  v1::Event proto;
  if (bytes.size() > limits::kMaxEventBytes ||
      !proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("the event can't be read");
  }
  model::Event event;
  WM_ASSIGN_OR_RETURN(event.wall, ReadTime(proto.wall_time_us(), "wall_time_us"));
  if (proto.boot_time_us() < 0) return FieldError("boot_time_us", "is negative");
  event.boot.since_boot = base::Duration(proto.boot_time_us());
  WM_ASSIGN_OR_RETURN(event.boot_id, ReadId(proto.boot_id(), "boot_id"));
  WM_ASSIGN_OR_RETURN(event.body, ReadBody(proto));
  return event;
}

}  // namespace weighmaster::wire
