#include "agent/formats/weights/ggml.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

// The marks are numbers, so their letters stand in the file from the last to the first.
constexpr std::string_view kGgml = "lmgg";
constexpr std::string_view kGgmf = "fmgg";
constexpr std::string_view kGgjt = "tjgg";
constexpr std::string_view kGgla = "algg";

constexpr std::uint32_t kNewestGgjt = 3;
constexpr std::uint32_t kMaxVersion = 255;
// rwkv.cpp's versions of ggmf: https://github.com/RWKV/rwkv.cpp, docs/FILE_FORMAT.md.
constexpr std::uint32_t kFirstRwkv = 100;
constexpr std::uint32_t kLastRwkv = 101;
// GGML_QNT_VERSION_FACTOR: how the version of the blocks stands beside the type of the file.
constexpr std::uint32_t kBlockVersionFactor = 1'000;
constexpr std::uint32_t kMaxBlockVersion = 9;
// Since then scales have 16 bits; ggjt 3 is the same change.
constexpr std::uint32_t kFirstSmallBlocks = 2;
constexpr std::uint64_t kGgjtAlignment = 32;

// Ours, all of them above what models have: what is past them is no model of that family.
constexpr std::uint32_t kMaxNumber = 1U << 24;
constexpr std::uint32_t kMaxWords = 1U << 20;
constexpr std::uint32_t kMaxWordBytes = 1'024;
constexpr std::uint32_t kMaxLayers = 1'024;
constexpr std::uint32_t kMaxBins = 65'536;  // of a spectrum
constexpr std::uint32_t kMaxFileTypes = 64;
constexpr std::uint32_t kMaxTypes = 64;
constexpr std::uint32_t kMaxTensorNameBytes = 256;
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::size_t kMaxNumbers = 14;

// ggml.h's types, by their number; empty where there was none.
constexpr std::string_view kTypes[] = {
    "F32",     "F16",   "Q4_0",   "Q4_1",  "Q4_2",  "Q4_3",   "Q5_0", "Q5_1",    "Q8_0",
    "Q8_1",    "Q2_K",  "Q3_K",   "Q4_K",  "Q5_K",  "Q6_K",   "Q8_K", "IQ2_XXS", "IQ2_XS",
    "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",   "I16",     "I32",
    "I64",     "F64",   "IQ1_M",  "BF16",  "",      "",       "",     "TQ1_0",   "TQ2_0",
    "",        "",      "",       "MXFP4", "NVFP4", "Q1_0"};

// Blocks of the types that had others before their scales had 16 bits.
struct OldBlock {
  std::string_view name;
  std::uint32_t elements;
  std::uint32_t bytes;
};
constexpr OldBlock kOldBlocks[] = {
    {"Q4_0", 32, 20}, {"Q4_1", 32, 24}, {"Q4_2", 16, 10}, {"Q4_3", 16, 12}, {"Q8_0", 32, 36},
};
// A build of ggml may make blocks of so many elements instead of 256, which no file says.
constexpr std::uint32_t kSmallBuildElements = 64;
constexpr std::uint32_t kLargeBlockElements = 256;

// Where the numbers of a family of models stand, and what follows them.
struct Layout {
  std::string_view name;
  std::uint8_t count;
  std::uint8_t words;  // how many, by the place of the number
  std::uint8_t width;
  std::uint8_t heads;
  std::uint8_t layers;
  std::uint8_t type;  // the last one in all
  bool counts_twice;  // how many words there are stands before them once more
  bool has_scores;    // behind each word, in every container
};
constexpr Layout kLayouts[] = {
    {"llama", 7, 0, 1, 3, 4, 6, false, false},   {"gptj", 7, 0, 2, 3, 4, 6, true, false},
    {"gpt2", 6, 0, 2, 3, 4, 5, true, false},     {"gptneox", 8, 0, 2, 3, 4, 7, false, false},
    {"bert", 7, 0, 2, 4, 5, 6, false, false},    {"bloom", 6, 0, 1, 3, 4, 5, false, false},
    {"mpt", 8, 4, 0, 2, 3, 7, false, false},     {"replit", 6, 4, 0, 2, 3, 5, false, true},
    {"gptneox", 7, 0, 2, 3, 4, 6, false, false},
};
// llama's further numbers.
constexpr std::size_t kLlamaMultiple = 2;
constexpr std::size_t kLlamaRotated = 5;

using Numbers = std::array<std::uint32_t, kMaxNumbers>;

std::uint32_t ReadLittle32(base::ByteView bytes) {
  return bytes[0] | (std::uint32_t{bytes[1]} << 8) | (std::uint32_t{bytes[2]} << 16) |
         (std::uint32_t{bytes[3]} << 24);
}

bool IsName(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// What some newer converters write first: the name of what kind of model it is ("silero-16k").
std::string_view KindOf(base::ByteView behind_mark) {
  constexpr std::uint32_t kLeast = 4;
  constexpr std::uint32_t kMost = 64;
  if (behind_mark.size() < 4) return {};
  const std::uint32_t length = ReadLittle32(behind_mark);
  if (length < kLeast || length > kMost || behind_mark.size() - 4 < length) return {};
  const std::string_view kind = base::AsText(behind_mark.subspan(4, length));
  return IsName(kind) ? kind : std::string_view();
}

bool HasNumbers(base::ByteView bytes, std::size_t count) {
  if (bytes.size() < 4 * count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t number = ReadLittle32(bytes.subspan(4 * i));
    if (number == 0 || number > kMaxNumber) return false;
  }
  return true;
}

bool IsFileType(std::uint32_t type) {
  return type % kBlockVersionFactor < kMaxFileTypes &&
         type / kBlockVersionFactor <= kMaxBlockVersion;
}

bool IsPlausible(const Layout& layout, const Numbers& numbers) {
  const auto within = [&](std::size_t at, std::uint32_t most) {
    return numbers[at] >= 1 && numbers[at] <= most;
  };
  if (!within(layout.words, kMaxWords) || !within(layout.width, kMaxNumber) ||
      !within(layout.heads, kMaxNumber) || !within(layout.layers, kMaxLayers)) {
    return false;
  }
  const std::uint32_t width = numbers[layout.width];
  const std::uint32_t heads = numbers[layout.heads];
  if (width % heads != 0 || !IsFileType(numbers[layout.type])) return false;
  // Others have as many numbers and other meanings for them.
  return layout.name != "llama" ||
         (numbers[kLlamaRotated] == width / heads && numbers[kLlamaMultiple] < width);
}

// One reading of one file.
class GgmlReader {
 public:
  GgmlReader(ByteSource& source, WorkBudget& budget, TensorMapWriter& map)
      : budget_(budget), cursor_(source, budget), map_(map) {}

  model::Facts Read() &&;

 private:
  enum class Fit : std::uint8_t {
    kNo,
    kCutOff,  // as far as the file goes
    kYes,
  };
  struct Header {
    std::uint32_t type = 0;
    std::vector<std::uint64_t> dims;  // outermost first
    std::uint64_t elements = 1;
  };

  void ReadVersion();
  // Leaves the cursor at the first tensor, or returns false.
  bool FindFamily();
  Fit TryLayout(const Layout& layout);
  Fit TryWhisper();
  Fit TryParakeet();
  bool ReadNumbers(std::size_t count, Numbers& numbers);
  Fit SkipFilters(std::uint32_t bands);
  bool SkipFloats(std::uint64_t rows, std::uint64_t columns);
  Fit ReadWords(std::uint32_t count, bool scored);
  Fit LookAtTensor();
  Fit ReadHeader(Header& header);
  void ReadTensors();
  bool ReadTensor();
  bool SkipTensor(const Header& header);
  bool Broken(std::string_view what);
  // The rest can't be followed, which is no fault of the file.
  bool Stop();
  void Tell();

  WorkBudget& budget_;
  Cursor cursor_;
  TensorMapWriter& map_;
  model::Facts facts_;
  RiskList risks_;
  std::string mark_;
  std::uint32_t version_ = 0;
  std::uint32_t block_version_ = 0;
  std::uint64_t numbers_begin_ = 0;
  bool counted_ = true;
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

bool GgmlReader::Broken(std::string_view what) {
  if (!budget_.spent()) {
    risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(cursor_.offset()));
  }
  return Stop();
}

bool GgmlReader::Stop() {
  counted_ = false;
  map_.Fail(model::WeightsReason::kIncomplete);
  return false;
}

model::Facts GgmlReader::Read() && {
  facts_.format = model::Format::kGgml;
  mark_ = cursor_.Text(4, 4).value_or("");
  ReadVersion();
  Tell();
  return std::move(facts_);
}

void GgmlReader::ReadVersion() {
  if (mark_ != kGgml) version_ = cursor_.U32().value_or(0);
  numbers_begin_ = cursor_.offset();
  if (mark_ == kGgmf && version_ >= kFirstRwkv && version_ <= kLastRwkv) {
    facts_.architecture = "rwkv";
    Stop();
    return;
  }
  const std::uint32_t newest = mark_ == kGgjt ? kNewestGgjt : 1;
  if (version_ > newest) {
    Stop();
    risks_.Add(RiskId::kUnsupportedVersion, mark_ + " version " + std::to_string(version_));
    return;
  }
  if (mark_ == kGgla) {
    facts_.architecture = "lora";
    block_version_ = kFirstSmallBlocks;
    if (cursor_.Skip(8)) ReadTensors();  // rank and scale
  } else if (FindFamily()) {
    ReadTensors();
  }
}

bool GgmlReader::FindFamily() {
  const std::string_view kind = KindOf(cursor_.Peek(128));
  if (mark_ == kGgml && !kind.empty()) {
    facts_.architecture = std::string(kind);
    return Stop();
  }
  std::string_view cut_off;
  const auto fits = [&](std::string_view name, Fit fit) {
    if (fit == Fit::kCutOff && cut_off.empty()) cut_off = name;
    if (fit == Fit::kYes) facts_.architecture = std::string(name);
    return fit == Fit::kYes;
  };
  if (mark_ == kGgml && (fits("whisper", TryWhisper()) || fits("parakeet", TryParakeet()))) {
    return true;
  }
  for (const Layout& layout : kLayouts) {
    if (fits(layout.name, TryLayout(layout))) return true;
  }
  if (cut_off.empty()) return Stop();
  facts_.architecture = std::string(cut_off);
  return Broken(ReadFailureText(ReadFailure::kEnd));
}

bool GgmlReader::ReadNumbers(std::size_t count, Numbers& numbers) {
  cursor_.Seek(numbers_begin_);
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = cursor_.U32();
    if (!number.has_value()) return false;
    numbers[i] = *number;
  }
  return true;
}

GgmlReader::Fit GgmlReader::TryLayout(const Layout& layout) {
  Numbers numbers{};
  if (!ReadNumbers(layout.count, numbers) || !IsPlausible(layout, numbers)) return Fit::kNo;
  if (layout.counts_twice && cursor_.U32() != numbers[layout.words]) return Fit::kNo;
  block_version_ = mark_ == kGgjt ? (version_ < kNewestGgjt ? 0 : kFirstSmallBlocks)
                                  : numbers[layout.type] / kBlockVersionFactor;
  return ReadWords(numbers[layout.words], layout.has_scores || mark_ != kGgml);
}

// The filters say again how many mel bands there are, which nothing else has there.
GgmlReader::Fit GgmlReader::TryWhisper() {
  constexpr std::size_t kBands = 9;
  constexpr std::size_t kType = 10;
  Numbers numbers{};
  if (!ReadNumbers(kType + 1, numbers) || !IsFileType(numbers[kType])) return Fit::kNo;
  block_version_ = numbers[kType] / kBlockVersionFactor;
  const Fit filters = SkipFilters(numbers[kBands]);
  if (filters != Fit::kYes) return filters;
  const auto words = cursor_.U32();
  if (!words.has_value()) return Fit::kCutOff;
  return *words > kMaxWords ? Fit::kNo : ReadWords(*words, false);
}

GgmlReader::Fit GgmlReader::TryParakeet() {
  constexpr std::size_t kBands = 5;
  constexpr std::size_t kType = 6;
  constexpr std::size_t kDurations = 12;
  Numbers numbers{};
  if (!ReadNumbers(kMaxNumbers, numbers) || !IsFileType(numbers[kType])) return Fit::kNo;
  block_version_ = numbers[kType] / kBlockVersionFactor;
  const Fit filters = SkipFilters(numbers[kBands]);
  if (filters != Fit::kYes) return filters;
  const auto window = cursor_.U32();
  if (!window.has_value() || !SkipFloats(1, *window) || !SkipFloats(1, numbers[kDurations])) {
    return Fit::kCutOff;
  }
  const auto words = cursor_.U32();
  if (!words.has_value()) return Fit::kCutOff;
  return *words > kMaxWords ? Fit::kNo : ReadWords(*words, false);
}

GgmlReader::Fit GgmlReader::SkipFilters(std::uint32_t bands) {
  const auto rows = cursor_.U32();
  const auto columns = cursor_.U32();
  if (!rows.has_value() || !columns.has_value() || bands == 0 || *rows != bands || *columns == 0 ||
      *columns > kMaxBins) {
    return Fit::kNo;
  }
  return SkipFloats(bands, *columns) ? Fit::kYes : Fit::kCutOff;
}

bool GgmlReader::SkipFloats(std::uint64_t rows, std::uint64_t columns) {
  return cursor_.Skip(rows * columns) && cursor_.Skip(rows * columns) &&
         cursor_.Skip(rows * columns) && cursor_.Skip(rows * columns);
}

GgmlReader::Fit GgmlReader::ReadWords(std::uint32_t count, bool scored) {
  for (std::uint32_t i = 0; i < count; ++i) {
    budget_.Take(work::kArrayText);
    const auto length = cursor_.U32();
    if (!length.has_value()) return Fit::kCutOff;
    if (*length > kMaxWordBytes) return Fit::kNo;
    if (!cursor_.Skip(std::uint64_t{*length} + (scored ? 4 : 0))) return Fit::kCutOff;
  }
  return LookAtTensor();
}

// Whether a tensor begins here. A vocabulary alone has none.
GgmlReader::Fit GgmlReader::LookAtTensor() {
  if (cursor_.remaining() == 0) return Fit::kYes;
  const std::uint64_t begin = cursor_.offset();
  Header header;
  const Fit fit = ReadHeader(header);
  cursor_.Seek(begin);
  return fit;
}

GgmlReader::Fit GgmlReader::ReadHeader(Header& header) {
  const auto dimensions = cursor_.U32();
  const auto length = cursor_.U32();
  const auto type = cursor_.U32();
  if (!dimensions.has_value() || !length.has_value() || !type.has_value()) return Fit::kCutOff;
  if (*dimensions == 0 || *dimensions > kMaxDimensions || *length == 0 ||
      *length > kMaxTensorNameBytes || *type >= kMaxTypes) {
    return Fit::kNo;
  }
  header.type = *type;
  header.dims.resize(*dimensions);
  for (std::size_t i = header.dims.size(); i-- > 0;) {  // the innermost comes first
    const auto extent = cursor_.U32();
    if (!extent.has_value()) return Fit::kCutOff;
    if (*extent == 0 || *extent >> 31 != 0 ||
        __builtin_mul_overflow(header.elements, std::uint64_t{*extent}, &header.elements)) {
      return Fit::kNo;
    }
    header.dims[i] = *extent;
  }
  const auto name = cursor_.Text(*length, kMaxTensorNameBytes);
  if (!name.has_value()) return Fit::kCutOff;
  return IsName(*name) ? Fit::kYes : Fit::kNo;
}

void GgmlReader::ReadTensors() {
  while (cursor_.remaining() > 0) {
    if (tensors_ == base::limits::kMaxTensors) {
      Broken("too many tensors");
      return;
    }
    if (!ReadTensor()) return;
  }
}

bool GgmlReader::ReadTensor() {
  budget_.Take(work::kTensor);
  const std::uint64_t begin = cursor_.offset();
  Header header;
  const Fit fit = ReadHeader(header);
  if (fit == Fit::kCutOff) return Broken(ReadFailureText(ReadFailure::kEnd));
  if (fit == Fit::kNo) {
    cursor_.Seek(begin);
    return Broken("no tensor");
  }
  if (mark_ == kGgjt || mark_ == kGgla) {
    const std::uint64_t padding =
        (kGgjtAlignment - cursor_.offset() % kGgjtAlignment) % kGgjtAlignment;
    if (!cursor_.Skip(padding)) return Broken("padding of a tensor that ends");
  }
  return SkipTensor(header);
}

bool GgmlReader::SkipTensor(const Header& header) {
  const std::string_view name = header.type < std::size(kTypes) ? kTypes[header.type] : "";
  const ElementType* const type = FindElementType(name);
  std::uint64_t block_elements = type == nullptr ? 0 : type->block_elements;
  std::uint64_t block_bytes = type == nullptr ? 0 : type->block_bytes;
  bool old = false;
  for (const OldBlock& block : kOldBlocks) {
    if (block_version_ >= kFirstSmallBlocks || block.name != name) continue;
    old = true;
    block_elements = block.elements;
    block_bytes = block.bytes;
  }
  if (block_elements == 0) {
    risks_.Add(RiskId::kUnsupportedVersion, "tensor type " + std::to_string(header.type));
    return Stop();
  }
  const std::uint64_t row = header.dims.back();
  if (row % block_elements != 0) {
    const bool other_build =
        block_elements == kLargeBlockElements && row % kSmallBuildElements == 0;
    return other_build ? Stop() : Broken("a tensor that is no whole number of blocks");
  }
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(header.elements / block_elements, block_bytes, &bytes) ||
      __builtin_add_overflow(parameters_, header.elements, &parameters_)) {
    return Broken("a tensor of too many elements");
  }
  const std::uint64_t begin = cursor_.offset();
  if (!cursor_.Skip(bytes)) return Broken("a tensor of " + std::to_string(bytes) + " bytes");
  ++tensors_;
  elements_by_type_[name] += header.elements;
  if (old) {
    map_.Fail(model::WeightsReason::kUnknownType);
  } else if (map_.wanted()) {
    map_.Add({type, header.dims, {}, begin, false});
  }
  return true;
}

void GgmlReader::Tell() {
  std::uint64_t most = 0;
  for (const auto& [name, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts_.quantization = std::string(name);
  }
  if (counted_) {
    facts_.parameters = parameters_;
    facts_.tensor_count = tensors_;
  }
  if (budget_.spent()) {
    risks_.AddSpent(cursor_.offset());
    map_.Fail(model::WeightsReason::kIncomplete);
  }
  facts_.risks = std::move(risks_).Take();
}

}  // namespace

bool LooksLikeGgml(const FileEnds& file) {
  constexpr std::size_t kNeeded = 4;  // numbers, that all families have
  const base::ByteView head = file.head;
  if (head.size() < 8) return false;
  const std::string_view mark = base::AsText(head.first(4));
  const base::ByteView behind = head.subspan(4);
  if (mark == kGgml) return HasNumbers(behind, kNeeded) || !KindOf(behind).empty();
  const std::uint32_t version = ReadLittle32(behind);
  if (version == 0 || version > kMaxVersion) return false;
  if (mark == kGgla) return HasNumbers(behind, 3);  // the version among them
  return (mark == kGgmf || mark == kGgjt) && HasNumbers(behind.subspan(4), 3);
}

model::Facts ParseGgml(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  Cursor head(source, budget);
  if (!LooksLikeGgml({head.Peek(128), {}, source.size()})) return {};
  tensors.Begin();
  return GgmlReader(source, budget, tensors).Read();
}

}  // namespace weighmaster::agent::formats
