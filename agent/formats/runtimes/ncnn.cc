#include "agent/formats/runtimes/ncnn.h"

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

// What is known of every file before it is followed.
constexpr std::size_t kHeadBytes = 4'096;
constexpr std::string_view kMark = "7767517";
constexpr std::uint32_t kBinaryMark = 7'767'517;
// Ours: the largest models have some 10,000 layers.
constexpr std::uint64_t kMaxLayers = 1U << 20;
// Type, name and two counts; what else a line holds is passed over.
constexpr std::size_t kKeptLineBytes = 1'024;
constexpr std::size_t kMaxTypeBytes = 255;  // load_param's
// Types of layers: those that ncnn has, and of layers that a program brings along.
constexpr std::uint32_t kMaxTypes = 512;
// Of binary parameters: the end of a layer's, and where arrays begin and texts (newer than what is
// described).
constexpr std::int32_t kEndOfParameters = -233;
constexpr std::int32_t kArrays = -23'300;
constexpr std::int32_t kTexts = -23'400;

std::string_view TakeWord(std::string_view& line) {
  line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t\r")));
  const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

std::optional<std::uint64_t> TakeCount(std::string_view& line) {
  const std::string_view word = TakeWord(line);
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), count);
  const bool whole = error == std::errc() && end == word.data() + word.size();
  return whole && count <= kMaxLayers ? std::optional(count) : std::nullopt;
}

bool IsBlank(std::string_view line) { return TakeWord(line).empty(); }

bool IsLayerType(std::string_view word) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == ':';
  };
  return !word.empty() && word.size() <= kMaxTypeBytes && (word[0] < '0' || word[0] > '9') &&
         std::all_of(word.begin(), word.end(), allowed);
}

// Whether the line has what each layer's has.
bool IsLayer(std::string_view line) {
  return IsLayerType(TakeWord(line)) && !TakeWord(line).empty() && TakeCount(line).has_value() &&
         TakeCount(line).has_value();
}

std::string_view LineOf(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

bool LooksLikeText(std::string_view text) {
  std::string_view first = LineOf(text);
  std::string_view counts = LineOf(text);
  if (TakeWord(first) != kMark || !IsBlank(first)) return false;
  const auto layers = TakeCount(counts);
  const auto blobs = TakeCount(counts);
  if (layers.value_or(0) == 0 || blobs.value_or(0) == 0 || !IsBlank(counts)) return false;
  return IsLayer(LineOf(text));
}

std::uint32_t ReadLittle32(base::ByteView bytes) {
  return bytes[0] | (std::uint32_t{bytes[1]} << 8) | (std::uint32_t{bytes[2]} << 16) |
         (std::uint32_t{bytes[3]} << 24);
}

bool LooksLikeBinary(base::ByteView head) {
  if (head.size() < 24 || ReadLittle32(head) != kBinaryMark) return false;
  const auto within = [&](std::size_t at, std::uint64_t least, std::uint64_t most) {
    const std::uint32_t value = ReadLittle32(head.subspan(at));
    return value >= least && value <= most;
  };
  return within(4, 1, kMaxLayers) && within(8, 1, kMaxLayers) && within(12, 0, kMaxTypes) &&
         within(16, 0, kMaxLayers) && within(20, 0, kMaxLayers);
}

class NcnnReader {
 public:
  NcnnReader(ByteSource& source, WorkBudget& budget) : cursor_(source, budget) {}

  // Each leaves the first rule that is broken among the risks.
  void ReadText();
  void ReadBinary();
  model::Facts Tell() &&;

 private:
  bool ReadBinaryLayer();
  bool ReadParameters();
  bool Broken(std::string_view what);

  Cursor cursor_;
  RiskList risks_;
  bool has_texts_ = false;
};

bool NcnnReader::Broken(std::string_view what) {
  if (cursor_.budget().spent()) return false;
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(cursor_.offset()));
  return false;
}

void NcnnReader::ReadText() {
  TextLine(cursor_, kKeptLineBytes);
  const std::string counts = TextLine(cursor_, kKeptLineBytes).value_or("");
  std::string_view words = counts;
  const std::uint64_t layers = TakeCount(words).value_or(0);
  std::uint64_t read = 0;
  while (const auto line = TextLine(cursor_, kKeptLineBytes)) {
    if (IsBlank(*line)) continue;
    if (read == layers) {
      risks_.Add(RiskId::kTrailingData, "text before " + AtOffset(cursor_.offset()));
      return;
    }
    if (!IsLayer(*line)) {
      Broken("a line that is no layer before");
      return;
    }
    ++read;
  }
  if (read < layers) {
    Broken(std::to_string(read) + " of " + std::to_string(layers) + " layers");
  }
}

void NcnnReader::ReadBinary() {
  cursor_.Skip(4);
  const std::uint64_t layers = cursor_.U32().value_or(0);
  cursor_.Skip(4);
  for (std::uint64_t i = 0; i < layers; ++i) {
    if (!ReadBinaryLayer() || has_texts_) return;
  }
}

bool NcnnReader::ReadBinaryLayer() {
  cursor_.budget().Take(work::kTensor);
  const auto type = cursor_.U32();
  const auto inputs = cursor_.U32();
  const auto outputs = cursor_.U32();
  if (!type.has_value() || !inputs.has_value() || !outputs.has_value()) {
    return Broken("layers that end");
  }
  const std::uint64_t blobs = std::uint64_t{*inputs} + *outputs;
  if (*inputs > kMaxLayers || *outputs > kMaxLayers || !cursor_.Skip(blobs * 4)) {
    return Broken("a layer of " + std::to_string(blobs) + " blobs");
  }
  return ReadParameters();
}

bool NcnnReader::ReadParameters() {
  while (true) {
    cursor_.budget().Take(work::kWireField);
    const auto id = cursor_.U32();
    if (!id.has_value()) return Broken("parameters that end");
    const auto number = static_cast<std::int32_t>(*id);
    if (number == kEndOfParameters) return true;
    has_texts_ = number <= kTexts;
    if (has_texts_) return true;
    if (number > kArrays) {
      if (!cursor_.Skip(4)) return Broken("parameters that end");
      continue;
    }
    const auto length = cursor_.U32();
    if (!length.has_value() || !cursor_.Skip(std::uint64_t{*length} * 4)) {
      return Broken("an array of " + std::to_string(length.value_or(0)) + " numbers");
    }
  }
}

model::Facts NcnnReader::Tell() && {
  model::Facts facts;
  facts.format = model::Format::kNcnn;
  if (cursor_.budget().spent()) risks_.AddSpent(cursor_.offset());
  facts.risks = std::move(risks_).Take();
  return facts;
}

}  // namespace

bool LooksLikeNcnn(const FileEnds& file) {
  return LooksLikeBinary(file.head) || LooksLikeText(base::AsText(file.head).substr(0, kHeadBytes));
}

model::Facts ParseNcnn(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  NcnnReader reader(source, budget);
  Cursor head(source, budget);
  if (LooksLikeBinary(head.Peek(kHeadBytes))) {
    reader.ReadBinary();
  } else if (LooksLikeText(base::AsText(head.Peek(kHeadBytes)))) {
    reader.ReadText();
  } else {
    return {};
  }
  return std::move(reader).Tell();
}

}  // namespace weighmaster::agent::formats
