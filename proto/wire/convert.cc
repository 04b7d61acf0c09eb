#include "proto/wire/convert.h"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <limits>
#include <optional>
#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/fields.h"
#include "weighmaster/v1/batch.pb.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::wire {
namespace {

namespace limits = base::limits;

// A file may claim any number; one that no store can keep is as good as none.
std::optional<std::uint64_t> WireCount(const std::optional<std::uint64_t>& count) {
  constexpr auto kLast = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  return count && *count <= kLast ? count : std::nullopt;
}

base::Result<model::Risk> ReadRisk(const v1::Risk& in) {
  model::Risk risk;
  WM_ASSIGN_OR_RETURN(risk.id, ReadText(in.id(), limits::kMaxNameBytes, "risk.id"));
  if (risk.id.empty()) return FieldError("risk.id", "is empty");
  WM_ASSIGN_OR_RETURN(risk.severity, ReadEnum<model::Severity>(in.severity(), "risk.severity"));
  WM_ASSIGN_OR_RETURN(risk.message,
                      ReadText(in.message(), limits::kMaxSentenceBytes, "risk.message"));
  WM_ASSIGN_OR_RETURN(risk.evidence,
                      ReadText(in.evidence(), limits::kMaxEvidenceBytes, "risk.evidence"));
  return risk;
}

void WriteDigest(const model::ContentDigest& digest, v1::ContentDigest& out) {
  out.set_state(static_cast<v1::DigestState>(digest.state));
  if (digest.sha256) out.set_sha256(WireBytes(digest.sha256->view()));
  out.set_detail(WireText(digest.detail, limits::kMaxSentenceBytes));
  if (digest.verified_at) out.set_verified_time_us(WireTime(*digest.verified_at));
}

base::Result<model::ContentDigest> ReadDigest(const v1::ContentDigest& in) {
  using model::DigestState;
  model::ContentDigest digest;
  WM_ASSIGN_OR_RETURN(digest.state, ReadEnum<DigestState>(in.state(), "digest.state"));
  if (!in.sha256().empty()) {
    WM_ASSIGN_OR_RETURN(digest.sha256, ReadSha256(in.sha256(), "digest.sha256"));
  }
  WM_ASSIGN_OR_RETURN(digest.detail,
                      ReadText(in.detail(), limits::kMaxSentenceBytes, "digest.detail"));
  if (in.verified_time_us() != 0) {
    WM_ASSIGN_OR_RETURN(digest.verified_at,
                        ReadTime(in.verified_time_us(), "digest.verified_time_us"));
  }
  if (digest.state > DigestState::kFailed) return digest;  // a state of a newer agent
  const bool has_digest =
      digest.state == DigestState::kClaimed || digest.state == DigestState::kVerified;
  if (digest.sha256.has_value() != has_digest) {
    return FieldError("digest.sha256", "does not fit the state of the digest");
  }
  if (digest.verified_at.has_value() != (digest.state == DigestState::kVerified)) {
    return FieldError("digest.verified_time_us", "does not fit the state of the digest");
  }
  return digest;
}

base::Result<model::User> ReadUser(const v1::User& in) {
  model::User user;
  WM_ASSIGN_OR_RETURN(user.id, ReadText(in.id(), limits::kMaxFactBytes, "owner.id"));
  WM_ASSIGN_OR_RETURN(user.name, ReadText(in.name(), limits::kMaxFactBytes, "owner.name"));
  return user;
}

base::Result<std::optional<std::uint64_t>> ReadOptionalCount(bool present, std::uint64_t count,
                                                             std::string_view what) {
  if (!present) return std::optional<std::uint64_t>();
  WM_ASSIGN_OR_RETURN(const std::uint64_t value, ReadCount(count, what));
  return std::optional(value);
}

bool HasUnknownFields(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

base::Result<BatchEvent> ReadBatchEvent(const v1::BatchEvent& in) {
  if (HasUnknownFields(in)) return FieldError("an event", "has a field it should not have");
  BatchEvent event{.salt = in.salt(), .body = in.event(), .leaf = std::nullopt};
  if (!in.leaf().empty()) {
    WM_ASSIGN_OR_RETURN(event.leaf, ReadSha256(in.leaf(), "leaf"));
  }
  return event;
}

}  // namespace

void ToProto(const model::Path& path, v1::Path& out) {
  out.set_value(path.bytes.substr(0, limits::kMaxPathBytes));
  out.set_encoding(static_cast<v1::PathEncoding>(path.encoding));
}

base::Result<model::Path> FromProto(const v1::Path& in) {
  model::Path path{.bytes = in.value()};
  if (path.bytes.empty() || path.bytes.size() > limits::kMaxPathBytes) {
    return FieldError("path", "has " + std::to_string(path.bytes.size()) + " bytes; 1 to " +
                                  std::to_string(limits::kMaxPathBytes) + " are allowed");
  }
  if (path.bytes.find('\0') != std::string::npos) return FieldError("path", "holds a NUL");
  WM_ASSIGN_OR_RETURN(path.encoding, ReadEnum<model::PathEncoding>(in.encoding(), "path.encoding"));
  return path;
}

void ToProto(const model::Facts& facts, v1::Facts& out) {
  out.set_format(static_cast<v1::Format>(facts.format));
  out.set_name(WireText(facts.name, limits::kMaxFactBytes));
  out.set_architecture(WireText(facts.architecture, limits::kMaxFactBytes));
  out.set_license(WireText(facts.license, limits::kMaxFactBytes));
  out.set_quantization(WireText(facts.quantization, limits::kMaxFactBytes));
  if (const auto count = WireCount(facts.parameters)) out.set_parameters(*count);
  if (const auto count = WireCount(facts.tensor_count)) out.set_tensor_count(*count);
  for (const model::Risk& risk : facts.risks) {
    if (std::size_t(out.risks_size()) == limits::kMaxRisksPerFile) break;
    v1::Risk& proto = *out.add_risks();
    proto.set_id(WireText(risk.id, limits::kMaxNameBytes));
    proto.set_severity(static_cast<v1::Severity>(risk.severity));
    proto.set_message(WireText(risk.message, limits::kMaxSentenceBytes));
    proto.set_evidence(WireText(risk.evidence, limits::kMaxEvidenceBytes));
  }
}

base::Result<model::Facts> FromProto(const v1::Facts& in) {
  model::Facts facts;
  WM_ASSIGN_OR_RETURN(facts.format, ReadEnum<model::Format>(in.format(), "facts.format", 0));
  WM_ASSIGN_OR_RETURN(facts.name, ReadText(in.name(), limits::kMaxFactBytes, "facts.name"));
  WM_ASSIGN_OR_RETURN(facts.architecture,
                      ReadText(in.architecture(), limits::kMaxFactBytes, "facts.architecture"));
  WM_ASSIGN_OR_RETURN(facts.license,
                      ReadText(in.license(), limits::kMaxFactBytes, "facts.license"));
  WM_ASSIGN_OR_RETURN(facts.quantization,
                      ReadText(in.quantization(), limits::kMaxFactBytes, "facts.quantization"));
  WM_ASSIGN_OR_RETURN(facts.parameters,
                      ReadOptionalCount(in.has_parameters(), in.parameters(), "facts.parameters"));
  WM_ASSIGN_OR_RETURN(
      facts.tensor_count,
      ReadOptionalCount(in.has_tensor_count(), in.tensor_count(), "facts.tensor_count"));
  if (std::size_t(in.risks_size()) > limits::kMaxRisksPerFile) {
    return FieldError("facts.risks", "holds too many");
  }
  for (const v1::Risk& proto : in.risks()) {
    WM_ASSIGN_OR_RETURN(model::Risk risk, ReadRisk(proto));
    facts.risks.push_back(std::move(risk));
  }
  return facts;
}

void ToProto(const model::Sighting& sighting, v1::Sighting& out) {
  ToProto(sighting.path, *out.mutable_path());
  out.set_file_identity(sighting.identity.bytes);
  out.set_size_bytes(sighting.size_bytes);
  out.set_modified_time_us(WireTime(sighting.modified_at));
  out.mutable_owner()->set_id(WireText(sighting.owner.id, limits::kMaxFactBytes));
  out.mutable_owner()->set_name(WireText(sighting.owner.name, limits::kMaxFactBytes));
  ToProto(sighting.facts, *out.mutable_facts());
  WriteDigest(sighting.digest, *out.mutable_digest());
  if (sighting.weights_digest) out.set_weights_digest(WireBytes(sighting.weights_digest->view()));
  out.set_weights_reason(static_cast<v1::WeightsReason>(sighting.weights_reason));
}

base::Result<model::Sighting> FromProto(const v1::Sighting& in) {
  model::Sighting sighting;
  WM_ASSIGN_OR_RETURN(sighting.path, FromProto(in.path()));
  if (in.file_identity().size() > limits::kMaxFileIdentityBytes) {
    return FieldError("file_identity", "is too long");
  }
  sighting.identity.bytes = in.file_identity();
  WM_ASSIGN_OR_RETURN(sighting.size_bytes, ReadCount(in.size_bytes(), "size_bytes"));
  WM_ASSIGN_OR_RETURN(sighting.modified_at, ReadTime(in.modified_time_us(), "modified_time_us"));
  WM_ASSIGN_OR_RETURN(sighting.owner, ReadUser(in.owner()));
  WM_ASSIGN_OR_RETURN(sighting.facts, FromProto(in.facts()));
  WM_ASSIGN_OR_RETURN(sighting.digest, ReadDigest(in.digest()));
  if (!in.weights_digest().empty()) {
    WM_ASSIGN_OR_RETURN(sighting.weights_digest, ReadSha256(in.weights_digest(), "weights_digest"));
  }
  if (in.weights_reason() != v1::WEIGHTS_REASON_UNSPECIFIED) {
    if (sighting.weights_digest) return FieldError("weights_reason", "stands beside a digest");
    WM_ASSIGN_OR_RETURN(sighting.weights_reason,
                        ReadEnum<model::WeightsReason>(in.weights_reason(), "weights_reason"));
  }
  return sighting;
}

void ToProto(const model::Verdict& verdict, v1::Verdict& out) {
  out.set_outcome(static_cast<v1::Outcome>(verdict.outcome));
  out.set_step(static_cast<v1::JudgementStep>(verdict.step));
  out.set_rule(WireText(verdict.rule, limits::kMaxFactBytes));
  out.set_reason(WireText(verdict.reason, limits::kMaxSentenceBytes));
  out.set_basis(static_cast<v1::Basis>(verdict.basis));
  if (verdict.until) out.set_until_time_us(WireTime(*verdict.until));
  out.set_policy_version(verdict.policy_version);
  out.set_mode(static_cast<v1::Mode>(verdict.mode));
  if (verdict.severity != model::SeverityOf(verdict.outcome)) {
    out.set_severity(static_cast<v1::Severity>(verdict.severity));
  }
  out.set_link(WireText(verdict.link, limits::kMaxLinkBytes));
  for (const std::string& rule : verdict.audits) {
    out.add_audits(WireText(rule, limits::kMaxRuleIdBytes));
  }
}

base::Result<model::Verdict> FromProto(const v1::Verdict& in) {
  model::Verdict verdict;
  WM_ASSIGN_OR_RETURN(verdict.outcome, ReadEnum<model::Outcome>(in.outcome(), "verdict.outcome"));
  WM_ASSIGN_OR_RETURN(verdict.step, ReadEnum<model::JudgementStep>(in.step(), "verdict.step"));
  WM_ASSIGN_OR_RETURN(verdict.rule, ReadText(in.rule(), limits::kMaxFactBytes, "verdict.rule"));
  WM_ASSIGN_OR_RETURN(verdict.reason,
                      ReadText(in.reason(), limits::kMaxSentenceBytes, "verdict.reason"));
  WM_ASSIGN_OR_RETURN(verdict.basis, ReadEnum<model::Basis>(in.basis(), "verdict.basis"));
  if (in.until_time_us() != 0) {
    WM_ASSIGN_OR_RETURN(verdict.until, ReadTime(in.until_time_us(), "verdict.until_time_us"));
  }
  WM_ASSIGN_OR_RETURN(verdict.policy_version,
                      ReadCount(in.policy_version(), "verdict.policy_version"));
  WM_ASSIGN_OR_RETURN(verdict.mode, ReadEnum<model::Mode>(in.mode(), "verdict.mode", 0));
  verdict.severity = model::SeverityOf(verdict.outcome);
  if (in.severity() != 0) {
    WM_ASSIGN_OR_RETURN(verdict.severity,
                        ReadEnum<model::Severity>(in.severity(), "verdict.severity"));
  }
  WM_ASSIGN_OR_RETURN(verdict.link, ReadText(in.link(), limits::kMaxLinkBytes, "verdict.link"));
  if (std::size_t(in.audits_size()) > limits::kMaxAuditsInVerdict) {
    return FieldError("verdict.audits", "holds too many");
  }
  for (const std::string& rule : in.audits()) {
    WM_ASSIGN_OR_RETURN(std::string id, ReadText(rule, limits::kMaxRuleIdBytes, "verdict.audits"));
    verdict.audits.push_back(std::move(id));
  }
  return verdict;
}

void ToProto(const model::Coverage& coverage, v1::Coverage& out) {
  out.set_sensor(WireText(coverage.sensor, limits::kMaxNameBytes));
  ToProto(coverage.root, *out.mutable_root());
  out.set_state(static_cast<v1::CoverageState>(coverage.state));
  out.set_reason(static_cast<v1::CoverageReason>(coverage.reason));
  out.set_detail(WireText(coverage.detail, limits::kMaxSentenceBytes));
  out.set_detection(static_cast<v1::ChangeDetection>(coverage.detection));
  out.set_files_seen(coverage.files_seen);
  out.set_files_failed(coverage.files_failed);
}

base::Result<model::Coverage> FromProto(const v1::Coverage& in) {
  model::Coverage coverage;
  WM_ASSIGN_OR_RETURN(coverage.sensor,
                      ReadText(in.sensor(), limits::kMaxNameBytes, "coverage.sensor"));
  if (coverage.sensor.empty()) return FieldError("coverage.sensor", "is empty");
  WM_ASSIGN_OR_RETURN(coverage.root, FromProto(in.root()));
  WM_ASSIGN_OR_RETURN(coverage.state, ReadEnum<model::CoverageState>(in.state(), "coverage.state"));
  WM_ASSIGN_OR_RETURN(coverage.reason,
                      ReadEnum<model::CoverageReason>(in.reason(), "coverage.reason", 0));
  WM_ASSIGN_OR_RETURN(coverage.detail,
                      ReadText(in.detail(), limits::kMaxSentenceBytes, "coverage.detail"));
  WM_ASSIGN_OR_RETURN(coverage.detection,
                      ReadEnum<model::ChangeDetection>(in.detection(), "coverage.detection"));
  WM_ASSIGN_OR_RETURN(coverage.files_seen, ReadCount(in.files_seen(), "coverage.files_seen"));
  WM_ASSIGN_OR_RETURN(coverage.files_failed, ReadCount(in.files_failed(), "coverage.files_failed"));
  return coverage;
}

void ToProto(const SealedBatch& batch, v1::SealedBatch& out) {
  out.set_header(batch.header);
  out.set_signature(WireBytes(batch.signature));
  for (const BatchEvent& event : batch.events) {
    v1::BatchEvent& proto = *out.add_events();
    proto.set_salt(event.salt);
    proto.set_event(event.body);
    if (event.leaf) proto.set_leaf(WireBytes(event.leaf->view()));
  }
}

base::Result<SealedBatch> FromProto(const v1::SealedBatch& in) {
  if (in.header().size() > limits::kMaxBatchHeaderBytes) {
    return FieldError("header", "is too long");
  }
  if (std::size_t(in.events_size()) > limits::kMaxEventsPerBatch) {
    return FieldError("events", "holds more than " + std::to_string(limits::kMaxEventsPerBatch));
  }
  // The envelope is not signed: nothing may hide in it.
  if (HasUnknownFields(in)) return FieldError("a batch", "has a field it should not have");
  SealedBatch batch{.header = in.header(), .signature = {}, .events = {}};
  WM_ASSIGN_OR_RETURN(batch.signature, openssl::SignatureFromBytes(base::AsBytes(in.signature())));
  for (const v1::BatchEvent& proto : in.events()) {
    WM_ASSIGN_OR_RETURN(BatchEvent event, ReadBatchEvent(proto));
    batch.events.push_back(std::move(event));
  }
  return batch;
}

}  // namespace weighmaster::wire
