#include "agent/formats/reading/risks.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {
namespace {

using model::Severity;

struct RiskRow {
  RiskId id;
  std::string_view name;
  Severity severity;
  std::string_view message;
};

constexpr RiskRow kRisks[] = {
    {RiskId::kMalformed, "malformed", Severity::kHigh,
     "The file breaks the rules of its format; a loader that trusts it may be made to misbehave."},
    {RiskId::kOpaque, "opaque", Severity::kHigh,
     "Part of the file could not be examined, so nothing is known of what it does when loaded."},
    {RiskId::kTrailingData, "trailing_data", Severity::kMedium,
     "The file carries bytes that its format does not account for."},
    {RiskId::kUnsupportedVersion, "unsupported_version", Severity::kLow,
     "The file is of a version of its format that is newer than what can be read."},
    {RiskId::kChatTemplateReachesPython, "chat_template_reaches_python", Severity::kHigh,
     "The chat template reaches for Python's internals, which runs code in a loader that does not "
     "sandbox templates."},
    {RiskId::kPickleFormat, "pickle_format", Severity::kInfo,
     "The file is a pickle, a format that can execute code when loaded; safetensors can not."},
    {RiskId::kPickleExecutesCode, "pickle_executes_code", Severity::kCritical,
     "Loading the file executes code that it chooses."},
    {RiskId::kPickleReachesSystem, "pickle_reaches_system", Severity::kHigh,
     "Loading the file reaches for files, the network, processes or threads."},
    {RiskId::kPickleUnlistedGlobal, "pickle_unlisted_global", Severity::kMedium,
     "Loading the file imports something that is on no list of what models need."},
    {RiskId::kPickleHiddenImport, "pickle_hidden_import", Severity::kCritical,
     "The pickle hides what it imports, which no program that writes models does."},
    {RiskId::kPickleUnknownCall, "pickle_unknown_call", Severity::kHigh,
     "The pickle calls something that shows only while it is loaded."},
    {RiskId::kPickleFramesDisagree, "pickle_frames_disagree", Severity::kInfo,
     "The pickle's frames do not fit its content; loaders may read it differently."},
    {RiskId::kEmbeddedPickle, "embedded_pickle", Severity::kHigh,
     "The pickle carries another pickle as data, which hides it from scanners."},
    {RiskId::kArchivePathEscapes, "archive_path_escapes", Severity::kHigh,
     "A member of the archive would be unpacked outside its folder."},
    {RiskId::kNativeCodeInside, "native_code_inside", Severity::kHigh,
     "The archive carries a native program or library."},
    {RiskId::kCustomOperators, "custom_operators", Severity::kMedium,
     "The graph uses operators that need a native library of their own."},
    {RiskId::kExternalDataEscapes, "external_data_escapes", Severity::kHigh,
     "The model names weights outside its own folder, so that loading it reads other files."},
    {RiskId::kKerasLambda, "keras_lambda", Severity::kHigh,
     "A Lambda layer carries Python code that runs when the model is loaded or used."},
    {RiskId::kKerasForeignModule, "keras_foreign_module", Severity::kHigh,
     "The model's configuration makes Keras import and call something that is not part of it."},
    {RiskId::kTfExecutesCode, "tf_executes_code", Severity::kCritical,
     "The graph has operators that run Python code or start programs."},
    {RiskId::kTfReachesFiles, "tf_reaches_files", Severity::kHigh,
     "The graph has operators that read or write files that it names."},
    {RiskId::kConfigNamesCode, "config_names_code", Severity::kHigh,
     "The model's configuration names Python code that a loader imports and calls."},
    {RiskId::kPythonCodeInside, "python_code_inside", Severity::kMedium,
     "The archive carries Python code that its loader runs."},
};

// Policies are linted against the ids in model, by programs that do not see this table.
static_assert(std::ranges::equal(kRisks, model::kRiskIds, {}, &RiskRow::name));

const RiskRow& RowOf(RiskId id) {
  for (const RiskRow& row : kRisks) {
    if (row.id == id) return row;
  }
  return kRisks[0];
}

// Cuts to `most` bytes without splitting a character.
void Cut(std::string& text, std::size_t most) {
  if (text.size() <= most) return;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  text.resize(end);
}

}  // namespace

std::string_view RiskName(RiskId id) { return RowOf(id).name; }
Severity RiskSeverity(RiskId id) { return RowOf(id).severity; }

void RiskList::Add(RiskId id, std::string_view evidence) { Add(id, evidence, RiskSeverity(id)); }

void RiskList::Add(RiskId id, std::string_view evidence, Severity severity) {
  if (!HasRoomFor(severity)) return;
  const RiskRow& row = RowOf(id);
  AddRisk({std::string(row.name), severity, std::string(row.message),
           CleanText(evidence, base::limits::kMaxEvidenceBytes)});
}

void RiskList::AddSpent(std::uint64_t offset) {
  // It stands for all that was not found, so it has a place also among as bad ones.
  if (!HasRoomFor(RiskSeverity(RiskId::kOpaque))) risks_.pop_back();
  Add(RiskId::kOpaque, "it takes more work than a model file should, read to " + AtOffset(offset));
}

void RiskList::Add(RiskList other) {
  for (model::Risk& risk : other.risks_) AddRisk(std::move(risk));
}

void RiskList::AddOfPart(std::vector<model::Risk> risks, std::string_view place) {
  for (model::Risk& risk : risks) {
    risk.evidence = CleanText(std::string(place) + risk.evidence, base::limits::kMaxEvidenceBytes);
    AddRisk(std::move(risk));
  }
}

// Asked first, so that a file with a million of them pays for few.
bool RiskList::HasRoomFor(Severity severity) const {
  return risks_.size() < base::limits::kMaxRisksPerFile ||
         std::any_of(risks_.begin(), risks_.end(),
                     [&](const model::Risk& risk) { return risk.severity < severity; });
}

void RiskList::AddRisk(model::Risk risk) {
  if (std::find(risks_.begin(), risks_.end(), risk) != risks_.end()) return;
  if (risks_.size() < base::limits::kMaxRisksPerFile) {
    risks_.push_back(std::move(risk));
    return;
  }
  const auto mildest = std::min_element(
      risks_.begin(), risks_.end(),
      [](const auto& left, const auto& right) { return left.severity < right.severity; });
  if (mildest->severity < risk.severity) *mildest = std::move(risk);
}

Severity RiskList::worst() const {
  Severity worst = Severity::kInfo;
  for (const model::Risk& risk : risks_) worst = std::max(worst, risk.severity);
  return worst;
}

std::vector<model::Risk> RiskList::Take() && {
  std::stable_sort(risks_.begin(), risks_.end(), [](const auto& left, const auto& right) {
    return left.severity > right.severity;
  });
  return std::move(risks_);
}

std::string AtOffset(std::uint64_t offset) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), offset, 16).ptr;
  return "offset 0x" + std::string(digits.begin(), end);
}

std::string CleanText(std::string_view text, std::size_t most) {
  // An escaped text is never shorter, so what is cut here would be cut anyway; three bytes more
  // than `most` keep the last character whole.
  text = text.substr(0, most + 3);
  std::string clean;
  while (!text.empty()) {
    const std::size_t backslash = text.find('\\');
    clean += base::EscapeForDisplay(text.substr(0, backslash));
    if (backslash == std::string_view::npos) break;
    clean += '\\';
    text.remove_prefix(backslash + 1);
  }
  Cut(clean, most);
  return clean;
}

}  // namespace weighmaster::agent::formats
