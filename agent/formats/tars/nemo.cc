#include "agent/formats/tars/nemo.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "agent/formats/archive/compressed_stream.h"
#include "agent/formats/pickle/globals.h"
#include "agent/formats/tars/yaml_entries.h"
#include "policy/base/bytes.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kConfig = "model_config.yaml";
constexpr std::string_view kWeights = "model_weights";
// Of one configuration; the largest of published models have some hundred thousand bytes.
constexpr std::size_t kMaxConfigBytes = 4 * base::limits::kMiB;

// Packages of which a configuration may name anything that is not graded as worse.
constexpr std::string_view kTrusted[] = {"nemo",
                                         "torch",
                                         "torchaudio",
                                         "torchvision",
                                         "torchmetrics",
                                         "lightning",
                                         "omegaconf",
                                         "pytorch_lightning",
                                         "transformers",
                                         "lightning_fabric",
                                         "megatron",
                                         "apex",
                                         "transformer_engine",
                                         "numpy",
                                         "tokenizers",
                                         "sentencepiece",
                                         "bionemo",
                                         "diffusers",
                                         "peft",
                                         "timm",
                                         "einops",
                                         "librosa",
                                         "datasets"};

std::string_view RootOf(std::string_view name) { return name.substr(0, name.find('.')); }

bool IsTrusted(std::string_view name) {
  const std::string_view root = RootOf(name);
  return root.starts_with("nemo_") ||
         std::find(std::begin(kTrusted), std::end(kTrusted), root) != std::end(kTrusted);
}

// "package.module.Name", two parts at least.
bool IsDottedName(std::string_view text) {
  const auto plain = [](char c) {
    return c == '_' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
  };
  return text.find('.') != std::string_view::npos && text.front() != '.' && text.back() != '.' &&
         !(text.front() >= '0' && text.front() <= '9') &&
         std::all_of(text.begin(), text.end(), plain);
}

// A name is found part by part, so that each may be a module that another imports: it is as bad as
// the worst way in which it divides.
GlobalGrade GradeName(std::string_view name) {
  const std::size_t last = name.rfind('.');
  if (last == std::string_view::npos) return GradeGlobal("builtins", name);
  const GlobalGrade whole = GradeGlobal(name.substr(0, last), name.substr(last + 1));
  const std::string_view root = RootOf(name);
  const GlobalGrade part = GradeGlobal(root, name.substr(root.size() + 1));
  return part >= GlobalGrade::kReaches ? std::max(whole, part) : whole;
}

bool EndsAsYaml(std::string_view name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

// What the configurations of one archive say.
class Configuration {
 public:
  explicit Configuration(TarPackage& package) : package_(package) {}

  // `is_root`: the model's own.
  void Read(const TarMember& member, bool is_root);
  const std::string& name() const { return name_; }
  const std::string& target() const { return target_; }

 private:
  void ReadEntry(const YamlEntry& entry, bool is_root);
  // `is_certain`: the key has no other meaning.
  void Judge(const YamlEntry& entry, bool is_certain);
  void Tell(const YamlEntry& entry, std::string_view why, model::Severity severity);

  TarPackage& package_;
  std::string place_;
  std::string name_;
  std::string target_;
};

void Configuration::Read(const TarMember& member, bool is_root) {
  place_ = member.name + ": ";
  Cursor cursor = package_.CursorOf(member);
  const auto text = cursor.Text(member.bytes, kMaxConfigBytes);
  if (!text.has_value()) return;
  package_.budget().Take(text->size() * work::kTemplateByte);
  if (member.bytes > kMaxConfigBytes || text->find('\0') != std::string::npos) {
    package_.risks().Add(RiskId::kOpaque, member.name + " is no configuration that can be read");
  }
  if (package_.budget().spent()) return;
  YamlEntries entries(*text);
  while (const auto entry = entries.Next()) {
    if (package_.budget().spent()) return;
    ReadEntry(*entry, is_root);
  }
  if (entries.names_python_tag()) {
    package_.risks().Add(RiskId::kConfigNamesCode, place_ + "a tag of Python objects");
  }
}

void Configuration::ReadEntry(const YamlEntry& entry, bool is_root) {
  const bool top = is_root && entry.column == 0;
  if (top && entry.key == "name" && name_.empty()) name_ = entry.value;
  if (top && (entry.key == "target" || entry.key == "_target_") && target_.empty()) {
    target_ = entry.value;
  }
  if (entry.key == "_target_") Judge(entry, true);
  if (entry.key == "target" || entry.key == "cls") Judge(entry, top);
}

void Configuration::Judge(const YamlEntry& entry, bool is_certain) {
  package_.budget().Take(work::kImport + work::kImportPart);
  const bool computed = entry.is_unknown || entry.value.find("${") != std::string::npos;
  if (computed && is_certain) {
    return Tell(entry, "what shows only when it is loaded", model::Severity::kHigh);
  }
  const bool dotted = !entry.value.empty() && IsDottedName(entry.value);
  if (!dotted && !is_certain) return;
  switch (GradeName(entry.value)) {
    case GlobalGrade::kExecutes:
      return Tell(entry, entry.value, model::Severity::kCritical);
    case GlobalGrade::kReaches:
      return Tell(entry, entry.value, model::Severity::kHigh);
    case GlobalGrade::kUnlisted:
      if (!is_certain || !dotted || IsTrusted(entry.value)) return;
      return Tell(entry, entry.value, model::Severity::kMedium);
    case GlobalGrade::kSafe:
      return;
  }
}

void Configuration::Tell(const YamlEntry& entry, std::string_view why, model::Severity severity) {
  package_.budget().Take(work::kRisk);
  package_.risks().Add(
      RiskId::kConfigNamesCode,
      place_ + entry.key + " names " + std::string(why) + " at " + AtOffset(entry.offset),
      severity);
}

// NeMo takes the configuration from the root alone, and the weights from there or from a folder of
// each part of the model.
bool HoldsWeights(const TarPackage& package) {
  return std::any_of(package.members().begin(), package.members().end(), [](const auto& member) {
    const std::string name = TarPackage::PlainName(member);
    const std::size_t folder = name.rfind('/');
    const std::string_view last = std::string_view(name).substr(folder + 1);
    return last.starts_with(kWeights) || name.starts_with(std::string(kWeights) + "/");
  });
}

bool IsNemo(TarPackage& package) {
  const TarMember* const config = package.Find(kConfig);
  if (config == nullptr) return false;
  package.budget().Take(package.members().size() * work::kArchiveMember);
  if (HoldsWeights(package)) return true;
  // Without weights it takes more than a name that others use as well.
  Cursor cursor = package.CursorOf(*config);
  const auto text = cursor.Text(config->bytes, kMaxConfigBytes);
  if (!text.has_value()) return false;
  package.budget().Take(text->size() * work::kTemplateByte);
  YamlEntries entries(*text);
  while (const auto entry = entries.Next()) {
    const bool target = entry->column == 0 && (entry->key == "target" || entry->key == "_target_");
    if (entry->key == "nemo_version" || (target && IsDottedName(entry->value))) return true;
  }
  return false;
}

void TellNemo(TarPackage& package, model::Facts& facts) {
  Configuration configuration(package);
  for (const TarMember& member : package.members()) {
    if (package.budget().spent()) break;
    const std::string name = TarPackage::PlainName(member);
    const bool is_root = name == kConfig;
    const bool link = member.type == TarType::kSymbolicLink || member.type == TarType::kHardLink;
    if (link && (is_root || name.find(kWeights) != std::string::npos)) {
      package.risks().Add(RiskId::kOpaque, member.name + " is a link to " + member.link);
    }
    const bool config = is_root || EndsAsYaml(name);
    if (config && member.type == TarType::kFile) configuration.Read(member, is_root);
    package.Examine(member, false);
  }
  facts.name = CleanText(configuration.name());
  // "nemo.collections.asr.models.EncDecCTCModel" and the like: the class is the architecture.
  const std::string& target = configuration.target();
  if (IsDottedName(target)) facts.architecture = CleanText(target.substr(target.rfind('.') + 1));
}

}  // namespace

const TarKind kNemo = {model::Format::kNemo, IsNemo, TellNemo};

bool LooksLikeNemo(const FileEnds& file) {
  if (LooksLikeTar(file)) return true;
  if (CompressionOf(file.head) != Compression::kGzip) return false;
  std::array<std::uint8_t, 512> start{};  // a header
  const auto shown = FirstBytes(file.head, Compression::kGzip, start);
  return !shown.has_value() || LooksLikeTar({std::span(start).first(*shown), {}, *shown});
}

}  // namespace weighmaster::agent::formats
