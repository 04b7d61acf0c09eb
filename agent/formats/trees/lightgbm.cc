#include "agent/formats/trees/lightgbm.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/text_line.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kFirstLine = "tree";
constexpr std::string_view kTree = "Tree=";
constexpr std::string_view kTreeSizes = "tree_sizes=";
constexpr std::string_view kVersion = "version=v";
constexpr std::string_view kClasses = "num_class=";
constexpr std::string_view kBoosting = "[boosting: ";
constexpr std::uint64_t kNewestVersion = 4;
// What a header must say; the first alone before there were versions.
constexpr std::string_view kNeeded[] = {
    kClasses, "label_index=", "max_feature_idx=", "feature_names=", "feature_infos="};
// Ours: the sizes of 100,000 trees take some 700,000 bytes. Of a longer line they are not followed.
constexpr std::size_t kMaxSizesBytes = 4 * base::limits::kMiB;
// Ours: a header has some 10 lines, what follows the trees one for each feature and parameter.
constexpr std::size_t kMaxHeaderLines = 256;
constexpr std::size_t kMaxLinesBehindTrees = 1U << 20;

bool Begins(std::string_view line, std::string_view with) {
  return line.substr(0, with.size()) == with;
}

std::optional<std::uint64_t> TakeNumber(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

class LightGbmReader {
 public:
  LightGbmReader(ByteSource& source, WorkBudget& budget)
      : budget_(budget), cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  // Up to the first tree.
  bool ReadHeader();
  void KeepLine(std::string_view line);
  bool SkipTrees();
  void ReadParameters();
  bool Broken(std::string_view what);

  WorkBudget& budget_;
  Cursor cursor_;
  model::Facts facts_;
  RiskList risks_;
  bool has_version_ = false;
  std::uint32_t said_ = 0;  // a bit for each of kNeeded
  std::string sizes_;
};

bool LightGbmReader::Broken(std::string_view what) {
  if (budget_.spent()) return false;
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(cursor_.offset()));
  return false;
}

model::Facts LightGbmReader::Read() && {
  facts_.format = model::Format::kLightGbm;
  if (ReadHeader() && SkipTrees()) ReadParameters();
  if (budget_.spent()) risks_.AddSpent(cursor_.offset());
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

bool LightGbmReader::ReadHeader() {
  TextLine(cursor_, kFirstLine.size());
  for (std::size_t i = 0; i < kMaxHeaderLines; ++i) {
    const std::uint64_t begin = cursor_.offset();
    const auto line = TextLine(cursor_, kMaxSizesBytes);
    if (!line.has_value()) break;
    if (Begins(*line, kTree)) {
      cursor_.Seek(begin);
      break;
    }
    KeepLine(*line);
  }
  for (std::size_t i = 0; i < (has_version_ ? std::size(kNeeded) : 1); ++i) {
    if (((said_ >> i) & 1U) == 0) {
      return Broken("a header without \"" + std::string(kNeeded[i]) + "\"");
    }
  }
  return true;
}

void LightGbmReader::KeepLine(std::string_view line) {
  for (std::size_t i = 0; i < std::size(kNeeded); ++i) {
    if (Begins(line, kNeeded[i])) said_ |= 1U << i;
  }
  if (Begins(line, kTreeSizes)) sizes_ = std::string(line.substr(kTreeSizes.size()));
  if (!Begins(line, kVersion)) return;
  has_version_ = true;
  std::string_view number = line.substr(kVersion.size());
  const auto version = TakeNumber(number);
  if (version.has_value() && *version > kNewestVersion) {
    risks_.Add(RiskId::kUnsupportedVersion, "LightGBM version " + std::to_string(*version));
  }
}

// Every tree begins where the one before it ended.
bool LightGbmReader::SkipTrees() {
  if (sizes_.size() + kTreeSizes.size() >= kMaxSizesBytes) return false;
  std::string_view sizes = sizes_;
  while (true) {
    sizes.remove_prefix(std::min(sizes.size(), sizes.find_first_not_of(' ')));
    if (sizes.empty()) return true;
    budget_.Take(work::kTensor);
    const auto size = TakeNumber(sizes);
    if (!size.has_value()) return Broken("sizes of trees that are no numbers");
    const base::ByteView begin = cursor_.Peek(kTree.size());
    if (base::AsText(begin) != kTree) return Broken("no tree");
    if (*size < kTree.size() || !cursor_.Skip(*size)) {
      return Broken("a tree of " + std::to_string(*size) + " bytes");
    }
  }
}

// Importances and parameters; of files without sizes the trees too.
void LightGbmReader::ReadParameters() {
  for (std::size_t i = 0; i < kMaxLinesBehindTrees; ++i) {
    const auto line = TextLine(cursor_, base::limits::kMaxFactBytes);
    if (!line.has_value()) return;
    if (!Begins(*line, kBoosting)) continue;
    const std::string_view rest = std::string_view(*line).substr(kBoosting.size());
    facts_.architecture = CleanText(rest.substr(0, rest.find(']')));
    return;
  }
}

}  // namespace

bool LooksLikeLightGbm(const FileEnds& file) {
  std::string_view text = base::AsText(file.head);
  if (!Begins(text, kFirstLine)) return false;
  text.remove_prefix(kFirstLine.size());
  if (Begins(text, "\r")) text.remove_prefix(1);
  if (!Begins(text, "\n")) return false;
  text.remove_prefix(1);
  const std::string_view digits = Begins(text, kVersion)   ? text.substr(kVersion.size())
                                  : Begins(text, kClasses) ? text.substr(kClasses.size())
                                                           : std::string_view();
  return !digits.empty() && digits[0] >= '0' && digits[0] <= '9';
}

model::Facts ParseLightGbm(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return LightGbmReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
