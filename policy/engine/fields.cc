#include "policy/engine/fields.h"

#include <algorithm>
#include <string>

namespace weighmaster::engine {
namespace {

using model::Operator;
using model::Sighting;

constexpr std::string_view kFormats[] = {"gguf",   "safetensors", "pytorch_zip",
                                         "pickle", "onnx",        "unknown"};
constexpr std::string_view kSeverities[] = {"info", "low", "medium", "high", "critical"};
constexpr std::string_view kDigestStates[] = {"pending", "claimed", "verified", "failed"};

FieldValue KnownText(std::string_view text) { return {.value = text}; }
FieldValue TextOrUnknown(std::string_view text) {
  return text.empty() ? FieldValue{} : KnownText(text);
}

FieldValue ReadFormat(const Sighting& s) { return KnownText(model::FormatName(s.facts.format)); }
FieldValue ReadName(const Sighting& s) { return TextOrUnknown(s.facts.name); }
FieldValue ReadArchitecture(const Sighting& s) { return TextOrUnknown(s.facts.architecture); }
FieldValue ReadLicense(const Sighting& s) { return TextOrUnknown(s.facts.license); }
FieldValue ReadQuantization(const Sighting& s) { return TextOrUnknown(s.facts.quantization); }
FieldValue ReadSize(const Sighting& s) { return {.value = s.size_bytes}; }
FieldValue ReadPath(const Sighting& s) { return KnownText(s.path.bytes); }

FieldValue ReadParameters(const Sighting& s) {
  return s.facts.parameters ? FieldValue{.value = *s.facts.parameters} : FieldValue{};
}

// Not Path::FileName, which returns a copy: the value must point into the sighting.
FieldValue ReadFileName(const Sighting& s) {
  const std::string_view path = s.path.bytes;
  return KnownText(path.substr(path.rfind('/') + 1));
}

FieldValue ReadRisk(const Sighting& s) {
  std::vector<std::string_view> ids;
  ids.reserve(s.facts.risks.size());
  for (const model::Risk& risk : s.facts.risks) ids.push_back(risk.id);
  return {.value = std::move(ids)};
}

FieldValue ReadRiskSeverity(const Sighting& s) {
  std::uint64_t highest = 0;
  for (const model::Risk& risk : s.facts.risks) {
    highest = std::max(highest, static_cast<std::uint64_t>(risk.severity));
  }
  return {.value = highest};
}

FieldValue ReadDigestState(const Sighting& s) {
  return {.value = model::DigestStateName(s.digest.state),
          .may_change = s.digest.state != model::DigestState::kVerified};
}

FieldValue ReadOwner(const Sighting& s) {
  std::vector<std::string_view> names;
  if (!s.owner.id.empty()) names.push_back(s.owner.id);
  if (!s.owner.name.empty()) names.push_back(s.owner.name);
  return names.empty() ? FieldValue{} : FieldValue{.value = std::move(names)};
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
};

constexpr Operator kTextOperators[] = {Operator::kEquals, Operator::kGlob, Operator::kContains,
                                       Operator::kKnown};
constexpr Operator kNumberOperators[] = {Operator::kAtLeast, Operator::kAtMost, Operator::kKnown};
constexpr Operator kSeverityOperators[] = {Operator::kEquals, Operator::kAtLeast, Operator::kAtMost,
                                           Operator::kKnown};

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
  }
  return {};
}

bool Fits(Operator op, FieldType type) {
  const std::span<const Operator> operators = OperatorsOf(type);
  return std::ranges::find(operators, op) != operators.end();
}

}  // namespace weighmaster::engine
