#include "policy/engine/fields.h"

#include <algorithm>
#include <string>

#include "policy/model/weights.h"

namespace weighmaster::engine {
namespace {

using model::Operator;

constexpr auto kFormats = model::NamesIn(model::kFormats);
constexpr auto kWeightsReasons = model::NamesIn(model::kWeightsReasons);
constexpr std::string_view kSeverities[] = {"info", "low", "medium", "high", "critical"};
constexpr std::string_view kDigestStates[] = {"pending", "claimed", "verified", "failed"};

FieldValue KnownText(std::string_view text) { return {.value = text}; }
FieldValue TextOrUnknown(std::string_view text) {
  return text.empty() ? FieldValue{} : KnownText(text);
}

FieldValue ReadFormat(const Subject& subject) {
  return KnownText(model::FormatName(subject.sighting.facts.format));
}
FieldValue ReadName(const Subject& subject) { return TextOrUnknown(subject.sighting.facts.name); }
FieldValue ReadArchitecture(const Subject& subject) {
  return TextOrUnknown(subject.sighting.facts.architecture);
}
FieldValue ReadLicense(const Subject& subject) {
  return TextOrUnknown(subject.sighting.facts.license);
}
FieldValue ReadQuantization(const Subject& subject) {
  return TextOrUnknown(subject.sighting.facts.quantization);
}
FieldValue ReadSize(const Subject& subject) { return {.value = subject.sighting.size_bytes}; }
FieldValue ReadPath(const Subject& subject) { return KnownText(subject.sighting.path.bytes); }

FieldValue ReadParameters(const Subject& subject) {
  return subject.sighting.facts.parameters ? FieldValue{.value = *subject.sighting.facts.parameters}
                                           : FieldValue{};
}

// Not Path::FileName, which returns a copy: the value must point into the sighting.
FieldValue ReadFileName(const Subject& subject) {
  const std::string_view path = subject.sighting.path.bytes;
  return KnownText(path.substr(path.rfind('/') + 1));
}

FieldValue ReadRisk(const Subject& subject) {
  std::vector<std::string_view> ids;
  ids.reserve(subject.sighting.facts.risks.size());
  for (const model::Risk& risk : subject.sighting.facts.risks) ids.push_back(risk.id);
  return {.value = std::move(ids)};
}

FieldValue ReadRiskSeverity(const Subject& subject) {
  std::uint64_t highest = 0;
  for (const model::Risk& risk : subject.sighting.facts.risks) {
    highest = std::max(highest, static_cast<std::uint64_t>(risk.severity));
  }
  return {.value = highest};
}

FieldValue ReadDigestState(const Subject& subject) {
  return {.value = model::DigestStateName(subject.sighting.digest.state),
          .may_change = subject.sighting.digest.state != model::DigestState::kVerified};
}

FieldValue ReadOwner(const Subject& subject) {
  std::vector<std::string_view> names;
  if (!subject.sighting.owner.id.empty()) names.push_back(subject.sighting.owner.id);
  if (!subject.sighting.owner.name.empty()) names.push_back(subject.sighting.owner.name);
  return names.empty() ? FieldValue{} : FieldValue{.value = std::move(names)};
}

FieldValue ReadTensorCount(const Subject& subject) {
  const std::optional<std::uint64_t>& count = subject.sighting.facts.tensor_count;
  return count ? FieldValue{.value = *count} : FieldValue{};
}

FieldValue DigestOrUnknown(const std::optional<model::Sha256>& digest) {
  return digest ? KnownText(base::AsText(digest->view())) : FieldValue{};
}

// A claimed digest may deny and never approve, and a rule may do either: rules see what was read.
FieldValue ReadSha256(const Subject& subject) {
  const model::ContentDigest& digest = subject.sighting.digest;
  return digest.state == model::DigestState::kVerified ? DigestOrUnknown(digest.sha256)
                                                       : FieldValue{};
}

FieldValue ReadWeights(const Subject& subject) {
  return DigestOrUnknown(subject.sighting.weights_digest);
}

FieldValue ReadWeightsReason(const Subject& subject) {
  const model::Sighting& sighting = subject.sighting;
  const bool was_read =
      sighting.weights_digest || sighting.weights_reason != model::WeightsReason::kNone;
  return was_read ? KnownText(model::WeightsReasonName(sighting.weights_reason)) : FieldValue{};
}

FieldValue ReadWeightsApproved(const Subject& subject) {
  const std::optional<model::Sha256>& weights = subject.sighting.weights_digest;
  if (!weights) return {};
  const bool approved = subject.lists.Contains(model::ListKind::kApprovedWeights, *weights);
  return {.value = std::uint64_t{approved ? 1U : 0U}};
}

constexpr bool kAlwaysKnown = false;
constexpr bool kMayBeUnknown = true;

constexpr Field kFields[] = {
    {"format", FieldType::kText, FieldUnit::kNone, kAlwaysKnown, kFormats,
     "What the file is by its content, whatever it is called.", ReadFormat},
    {"name",
     FieldType::kText,
     FieldUnit::kNone,
     kMayBeUnknown,
     {},
     "The model's name, as the file gives it.",
     ReadName},
    {"architecture",
     FieldType::kText,
     FieldUnit::kNone,
     kMayBeUnknown,
     {},
     "The model's architecture, e.g. llama or qwen2.",
     ReadArchitecture},
    {"license",
     FieldType::kText,
     FieldUnit::kNone,
     kMayBeUnknown,
     {},
     "The licence as the file writes it: an SPDX id, a hub's id, or a text.",
     ReadLicense},
    {"quantization",
     FieldType::kText,
     FieldUnit::kNone,
     kMayBeUnknown,
     {},
     "How the weights are stored, e.g. Q4_K_M or BF16.",
     ReadQuantization},
    {"parameters",
     FieldType::kNumber,
     FieldUnit::kCount,
     kMayBeUnknown,
     {},
     "The number of weights in the file.",
     ReadParameters},
    {"tensor_count",
     FieldType::kNumber,
     FieldUnit::kCount,
     kMayBeUnknown,
     {},
     "The number of tensors in the file.",
     ReadTensorCount},
    {"size",
     FieldType::kNumber,
     FieldUnit::kBytes,
     kAlwaysKnown,
     {},
     "The file's size in bytes.",
     ReadSize},
    {"path",
     FieldType::kText,
     FieldUnit::kNone,
     kAlwaysKnown,
     {},
     "The file's full path on the endpoint.",
     ReadPath},
    {"file_name",
     FieldType::kText,
     FieldUnit::kNone,
     kAlwaysKnown,
     {},
     "The last part of the path.",
     ReadFileName},
    {"owner",
     FieldType::kSet,
     FieldUnit::kNone,
     kMayBeUnknown,
     {},
     "The user that the file belongs to, by name and by id.",
     ReadOwner},
    {"risk",
     FieldType::kSet,
     FieldUnit::kNone,
     kAlwaysKnown,
     {},
     "The ids of the risks found in the file's content, e.g. pickle_executes_code.",
     ReadRisk},
    {"risk_severity", FieldType::kSeverity, FieldUnit::kNone, kAlwaysKnown, kSeverities,
     "The severity of the worst risk; a file without a risk is below info.", ReadRiskSeverity},
    {"digest_state", FieldType::kText, FieldUnit::kNone, kAlwaysKnown, kDigestStates,
     "How far the file's SHA-256 is known.", ReadDigestState},
    {"sha256",
     FieldType::kDigest,
     FieldUnit::kNone,
     kMayBeUnknown,
     {},
     "The file's SHA-256, once it is verified.",
     ReadSha256},
    {"weights",
     FieldType::kDigest,
     FieldUnit::kNone,
     kMayBeUnknown,
     {},
     "The weights digest, the same for every packing of the same weights.",
     ReadWeights},
    {"weights_reason", FieldType::kText, FieldUnit::kNone, kMayBeUnknown, kWeightsReasons,
     "Why there is no weights digest; none where there is one.", ReadWeightsReason},
    {"weights_approved",
     FieldType::kFlag,
     FieldUnit::kNone,
     kMayBeUnknown,
     {},
     "Whether the weights digest is on the approved list.",
     ReadWeightsApproved},
};

constexpr Operator kTextOperators[] = {Operator::kEquals, Operator::kGlob, Operator::kContains,
                                       Operator::kKnown};
constexpr Operator kNumberOperators[] = {Operator::kAtLeast, Operator::kAtMost, Operator::kKnown};
constexpr Operator kSeverityOperators[] = {Operator::kEquals, Operator::kAtLeast, Operator::kAtMost,
                                           Operator::kKnown};
constexpr Operator kExactOperators[] = {Operator::kEquals, Operator::kKnown};

}  // namespace

std::string_view FieldTypeName(FieldType type) {
  switch (type) {
    case FieldType::kText:
      return "text";
    case FieldType::kNumber:
      return "number";
    case FieldType::kSeverity:
      return "severity";
    case FieldType::kSet:
      return "set";
    case FieldType::kDigest:
      return "digest";
    case FieldType::kFlag:
      return "flag";
  }
  return "unknown";
}

std::span<const Field> Fields() { return kFields; }

const Field* FindField(std::string_view name) {
  const auto* const found = std::ranges::find(kFields, name, &Field::name);
  return found == std::end(kFields) ? nullptr : found;
}

std::span<const Operator> OperatorsOf(FieldType type) {
  switch (type) {
    case FieldType::kText:
    case FieldType::kSet:
      return kTextOperators;
    case FieldType::kNumber:
      return kNumberOperators;
    case FieldType::kSeverity:
      return kSeverityOperators;
    case FieldType::kDigest:
    case FieldType::kFlag:
      return kExactOperators;
  }
  return {};
}

bool Fits(Operator op, FieldType type) {
  const std::span<const Operator> operators = OperatorsOf(type);
  return std::ranges::find(operators, op) != operators.end();
}

}  // namespace weighmaster::engine
