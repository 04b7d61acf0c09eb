#include "agent/formats/weights/gguf.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/formats/reading/chat_template.h"
#include "agent/formats/reading/name_hashes.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxFactBytes;

constexpr std::uint32_t kNewestVersion = 3;
constexpr std::uint64_t kMaxKeyBytes = 65'535;           // the specification's
constexpr std::uint64_t kMaxTextBytes = 1ULL << 30;      // llama.cpp's
constexpr std::uint64_t kMaxArrayElements = 1ULL << 30;  // llama.cpp's
// Ours: each text of an array costs a read, and no vocabulary comes near.
constexpr std::uint64_t kMaxArrayTexts = 1ULL << 23;
constexpr std::uint64_t kMaxNameBytes = 63;  // GGML_MAX_NAME without its NUL
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::uint64_t kMaxElements = (1ULL << 63) - 1;

enum ValueType : std::uint32_t { kBool = 7, kString = 8, kArray = 9, kUint32 = 4 };
// Bytes of one value by its type; 0 where the length follows or the type does not exist.
constexpr std::array<std::uint8_t, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct TensorType {
  std::uint32_t id;
  std::string_view name;
};
// ggml.h's types. An id that is not here is newer than this table (or was removed long ago).
constexpr TensorType kTensorTypes[] = {
    {0, "F32"},     {1, "F16"},    {2, "Q4_0"},     {3, "Q4_1"},    {6, "Q5_0"},     {7, "Q5_1"},
    {8, "Q8_0"},    {9, "Q8_1"},   {10, "Q2_K"},    {11, "Q3_K"},   {12, "Q4_K"},    {13, "Q5_K"},
    {14, "Q6_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
    {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"}, {24, "I8"},      {25, "I16"},
    {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},  {30, "BF16"},    {34, "TQ1_0"},
    {35, "TQ2_0"},  {39, "MXFP4"}, {40, "NVFP4"},   {41, "Q1_0"},
};

struct FileType {
  std::uint32_t id;
  std::string_view name;
};
// llama.h's llama_ftype, the values of general.file_type.
constexpr FileType kFileTypes[] = {
    {0, "F32"},     {1, "F16"},      {2, "Q4_0"},     {3, "Q4_1"},       {4, "Q4_1_SOME_F16"},
    {7, "Q8_0"},    {8, "Q5_0"},     {9, "Q5_1"},     {10, "Q2_K"},      {11, "Q3_K_S"},
    {12, "Q3_K_M"}, {13, "Q3_K_L"},  {14, "Q4_K_S"},  {15, "Q4_K_M"},    {16, "Q5_K_S"},
    {17, "Q5_K_M"}, {18, "Q6_K"},    {19, "IQ2_XXS"}, {20, "IQ2_XS"},    {21, "Q2_K_S"},
    {22, "IQ3_XS"}, {23, "IQ3_XXS"}, {24, "IQ1_S"},   {25, "IQ4_NL"},    {26, "IQ3_S"},
    {27, "IQ3_M"},  {28, "IQ2_S"},   {29, "IQ2_M"},   {30, "IQ4_XS"},    {31, "IQ1_M"},
    {32, "BF16"},   {36, "TQ1_0"},   {37, "TQ2_0"},   {38, "MXFP4_MOE"}, {39, "NVFP4"},
    {40, "Q1_0"},   {41, "Q2_0"},
};
constexpr std::uint32_t kFileTypeGuessed = 1024;  // a flag beside the type

const ElementType* FindTensorType(std::uint32_t id) {
  for (const TensorType& type : kTensorTypes) {
    if (type.id == id) return FindElementType(type.name);
  }
  return nullptr;
}

std::string_view FileTypeName(std::uint32_t id) {
  for (const FileType& type : kFileTypes) {
    if (type.id == (id & ~kFileTypeGuessed)) return type.name;
  }
  return {};
}

std::uint32_t ReadLittle32(base::ByteView bytes) {
  return bytes[0] | (std::uint32_t{bytes[1]} << 8) | (std::uint32_t{bytes[2]} << 16) |
         (std::uint32_t{bytes[3]} << 24);
}

bool IsChatTemplate(std::string_view key) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  return key == kKey || (key.substr(0, kKey.size()) == kKey && key[kKey.size()] == '.');
}

// One reading of one file, from the first byte to the last tensor. Every step says whether to go
// on; the first that does not has left the reason among the risks, and the facts keep what was
// read.
class GgufReader {
 public:
  GgufReader(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors)
      : budget_(budget), cursor_(source, budget), tensors_(tensors) {}

  model::Facts Read() &&;

 private:
  bool ReadHeader();
  bool ReadEntries();
  bool ReadEntry();
  bool ReadValue(std::uint32_t type, const std::string& key);
  bool ReadText(const std::string& key);
  bool ScanChatTemplate(std::uint64_t length);
  bool SkipArray();
  void KeepText(const std::string& key, std::string_view text);
  bool ReadTensors();
  bool ReadTensor();
  std::optional<std::vector<std::uint64_t>> ReadExtents();
  bool PlaceTensor(const Tensor& tensor);
  bool CheckSize();

  // A count or length: 32 bits in version 1, 64 since.
  std::optional<std::uint64_t> Count();
  bool Broken(std::string_view what);
  bool BrokenRead() { return Broken(ReadFailureText(cursor_.failure())); }
  std::uint64_t Padded(std::uint64_t value) const {
    return (value + alignment_ - 1) / alignment_ * alignment_;
  }

  WorkBudget& budget_;
  Cursor cursor_;
  TensorMapWriter& tensors_;
  model::Facts facts_;
  RiskList risks_;
  std::uint32_t version_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t entry_count_ = 0;
  std::uint64_t alignment_ = 32;
  NameHashes keys_;
  NameHashes names_;
  std::string base_name_;
  std::uint64_t parameters_ = 0;
  // Where the next tensor has to begin, and where the last one ends, in the data section. No
  // expectation after a tensor whose type is too new to know its size.
  std::optional<std::uint64_t> next_offset_ = 0;
  std::uint64_t data_end_ = 0;
  bool big_endian_ = false;
  std::map<std::string_view, std::uint64_t> bytes_by_type_;
};

bool GgufReader::Broken(std::string_view what) {
  if (budget_.spent()) {
    risks_.AddSpent(cursor_.offset());
    return false;
  }
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(cursor_.offset()));
  return false;
}

std::optional<std::uint64_t> GgufReader::Count() {
  if (version_ > 1) return cursor_.U64();
  const std::optional<std::uint32_t> count = cursor_.U32();
  return count.has_value() ? std::optional<std::uint64_t>(*count) : std::nullopt;
}

model::Facts GgufReader::Read() && {
  facts_.format = model::Format::kGguf;
  const bool entries = ReadHeader() && ReadEntries();
  if (entries && ReadTensors() && CheckSize()) facts_.parameters = parameters_;
  if (facts_.name.empty()) facts_.name = base_name_;
  if (facts_.quantization.empty() && !bytes_by_type_.empty()) {
    const auto most = std::max_element(
        bytes_by_type_.begin(), bytes_by_type_.end(),
        [](const auto& left, const auto& right) { return left.second < right.second; });
    facts_.quantization = std::string(most->first);
  }
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

bool GgufReader::ReadHeader() {
  std::array<std::uint8_t, 8> start{};
  if (!cursor_.Read(start)) return BrokenRead();
  version_ = ReadLittle32(base::ByteView(start).subspan(4));
  if ((version_ & 0xffff) == 0) {
    version_ = __builtin_bswap32(version_);
    cursor_.set_order(std::endian::big);
    big_endian_ = true;
  }
  if (version_ > kNewestVersion) {
    risks_.Add(RiskId::kUnsupportedVersion, "GGUF version " + std::to_string(version_));
    return false;
  }
  if (version_ == 0) return Broken("version 0");
  const auto tensors = Count();
  const auto entries = Count();
  if (!tensors.has_value() || !entries.has_value()) return BrokenRead();
  // A key and its value take at least 13 bytes, a tensor 24 (version 1: 9 and 16).
  const std::uint64_t left = cursor_.remaining();
  const bool old = version_ == 1;
  if (*entries > base::limits::kMaxMetadataEntries || *entries > left / (old ? 9 : 13)) {
    return Broken("a count of " + std::to_string(*entries) + " metadata entries");
  }
  if (*tensors > base::limits::kMaxTensors || *tensors > left / (old ? 16 : 24)) {
    return Broken("a count of " + std::to_string(*tensors) + " tensors");
  }
  entry_count_ = *entries;
  tensor_count_ = *tensors;
  return true;
}

bool GgufReader::ReadEntries() {
  for (std::uint64_t i = 0; i < entry_count_; ++i) {
    if (!ReadEntry()) return false;
  }
  return !keys_.HoldOneTwice() || Broken("a key a second time");
}

bool GgufReader::ReadEntry() {
  budget_.Take(work::kTensor);
  const auto length = Count();
  if (!length.has_value()) return BrokenRead();
  if (*length == 0 || *length > kMaxKeyBytes) {
    return Broken("a key of " + std::to_string(*length) + " bytes");
  }
  const auto key = cursor_.Text(*length, kMaxKeyBytes);
  if (!key.has_value()) return BrokenRead();
  keys_.Add(*key);
  const auto type = cursor_.U32();
  if (!type.has_value()) return BrokenRead();
  return ReadValue(*type, *key);
}

bool GgufReader::ReadValue(std::uint32_t type, const std::string& key) {
  if (type == kString) return ReadText(key);
  if (type == kArray) return SkipArray();
  if (type >= kValueBytes.size()) return Broken("value type " + std::to_string(type));
  const bool wanted = key == "general.file_type" || key == "general.alignment";
  if (type != kUint32 || !wanted) {
    if (key == "general.alignment") return Broken("an alignment that is no 32-bit number");
    return cursor_.Skip(kValueBytes[type]) || BrokenRead();
  }
  const auto value = cursor_.U32();
  if (!value.has_value()) return BrokenRead();
  if (key == "general.file_type") {
    facts_.quantization = std::string(FileTypeName(*value));
    return true;
  }
  if (!std::has_single_bit(*value)) {
    return Broken("an alignment of " + std::to_string(*value));
  }
  alignment_ = *value;
  return true;
}

bool GgufReader::ReadText(const std::string& key) {
  const auto length = Count();
  if (!length.has_value()) return BrokenRead();
  if (*length > kMaxTextBytes || *length > cursor_.remaining()) {
    return Broken("a text of " + std::to_string(*length) + " bytes for \"" + key + "\"");
  }
  if (IsChatTemplate(key)) return ScanChatTemplate(*length);
  const bool wanted = key.rfind("general.", 0) == 0;
  const auto text = cursor_.Text(*length, wanted ? kMaxFactBytes + 4 : 0);
  if (!text.has_value()) return BrokenRead();
  KeepText(key, *text);
  return true;
}

void GgufReader::KeepText(const std::string& key, std::string_view text) {
  if (key == "general.name") facts_.name = CleanText(text);
  if (key == "general.basename") base_name_ = CleanText(text);
  if (key == "general.architecture") facts_.architecture = CleanText(text);
  if (key == "general.license") facts_.license = CleanText(text);
}

bool GgufReader::ScanChatTemplate(std::uint64_t length) {
  const std::uint64_t begin = cursor_.offset();
  ChatTemplateScan scan;
  while (length > 0) {
    const auto part = std::min<std::uint64_t>(length, Cursor::kPeekBytes);
    budget_.Take(part * work::kTemplateByte);
    const base::ByteView bytes = cursor_.Peek(static_cast<std::size_t>(part));
    if (bytes.empty()) return BrokenRead();
    if (!scan.reaches_python()) scan.Feed(base::AsText(bytes));
    if (!cursor_.Skip(part)) return BrokenRead();
    length -= part;
  }
  if (scan.reaches_python()) {
    risks_.Add(RiskId::kChatTemplateReachesPython, "the chat template at " + AtOffset(begin));
  }
  return true;
}

bool GgufReader::SkipArray() {
  const auto type = cursor_.U32();
  const auto count = Count();
  if (!type.has_value() || !count.has_value()) return BrokenRead();
  if (*count > kMaxArrayElements) {
    return Broken("an array of " + std::to_string(*count) + " elements");
  }
  if (*type != kString) {
    if (*type >= kValueBytes.size() || *type == kArray) {
      return Broken("an array of value type " + std::to_string(*type));
    }
    return cursor_.Skip(*count * kValueBytes[*type]) || BrokenRead();
  }
  if (*count > kMaxArrayTexts || *count > cursor_.remaining() / (version_ == 1 ? 4 : 8)) {
    return Broken("an array of " + std::to_string(*count) + " texts");
  }
  for (std::uint64_t i = 0; i < *count; ++i) {
    budget_.Take(work::kArrayText);
    const auto length = Count();
    if (!length.has_value() || !cursor_.Skip(*length)) return BrokenRead();
  }
  return true;
}

bool GgufReader::ReadTensors() {
  facts_.tensor_count = tensor_count_;
  for (std::uint64_t i = 0; i < tensor_count_; ++i) {
    if (!ReadTensor()) return false;
  }
  return !names_.HoldOneTwice() || Broken("a tensor's name a second time");
}

bool GgufReader::ReadTensor() {
  budget_.Take(work::kTensor);
  const auto length = Count();
  if (!length.has_value()) return BrokenRead();
  if (*length > kMaxNameBytes) {
    return Broken("a tensor name of " + std::to_string(*length) + " bytes");
  }
  const auto name = cursor_.Text(*length, kMaxNameBytes);
  if (!name.has_value()) return BrokenRead();
  names_.Add(*name);
  auto extents = ReadExtents();
  if (!extents.has_value()) return false;
  const auto type = cursor_.U32();
  const auto offset = cursor_.U64();
  if (!type.has_value() || !offset.has_value()) return BrokenRead();
  return PlaceTensor({FindTensorType(*type), *std::move(extents), {}, *offset, big_endian_});
}

// The innermost comes first in the file, and last here.
std::optional<std::vector<std::uint64_t>> GgufReader::ReadExtents() {
  const auto refuse = [this](std::string_view what) {
    Broken(what);
    return std::nullopt;
  };
  const auto dimensions = cursor_.U32();
  if (!dimensions.has_value()) return refuse(ReadFailureText(cursor_.failure()));
  if (*dimensions > kMaxDimensions) {
    return refuse("a tensor of " + std::to_string(*dimensions) + " dimensions");
  }
  std::vector<std::uint64_t> extents(*dimensions);
  std::uint64_t elements = 1;
  for (std::size_t i = extents.size(); i-- > 0;) {
    const auto extent = Count();
    if (!extent.has_value()) return refuse(ReadFailureText(cursor_.failure()));
    if (*extent > kMaxElements || __builtin_mul_overflow(elements, *extent, &elements) ||
        elements > kMaxElements) {
      return refuse("a tensor of too many elements");
    }
    extents[i] = *extent;
  }
  if (__builtin_add_overflow(parameters_, elements, &parameters_)) {
    return refuse("more elements than can be counted");
  }
  return extents;
}

bool GgufReader::PlaceTensor(const Tensor& tensor) {
  const std::uint64_t offset = tensor.begin;
  if (offset % alignment_ != 0) return Broken("a tensor that is not aligned");
  if (next_offset_.has_value() && offset != *next_offset_) {
    return Broken("a tensor at " + AtOffset(offset) + " of the data instead of " +
                  AtOffset(*next_offset_));
  }
  tensors_.Add(tensor);
  if (tensor.type == nullptr) {
    data_end_ = std::max(data_end_, offset);
    next_offset_.reset();
    return true;
  }
  const std::uint64_t row = tensor.dims.empty() ? 1 : tensor.dims.back();
  if (row % tensor.type->block_elements != 0) {
    return Broken("a row that is no whole number of blocks");
  }
  const auto bytes = BytesOf(*tensor.type, tensor.dims);
  std::uint64_t end = 0;
  // The padding of the last tensor must not overflow either.
  if (!bytes.has_value() || __builtin_add_overflow(offset, *bytes, &end) || end > kMaxElements) {
    return Broken("a tensor of too many bytes");
  }
  bytes_by_type_[tensor.type->name] += *bytes;
  data_end_ = std::max(data_end_, end);
  next_offset_ = Padded(end);
  return true;
}

bool GgufReader::CheckSize() {
  const std::uint64_t size = cursor_.end();
  const std::uint64_t data = tensor_count_ == 0 ? cursor_.offset() : Padded(cursor_.offset());
  const std::uint64_t end = data + data_end_;
  tensors_.set_base(data);
  if (size < end) {
    return Broken("tensors up to " + AtOffset(end) + " in a file of " + std::to_string(size) +
                  " bytes");
  }
  if (next_offset_.has_value() && size > std::max(Padded(end), Padded(data) + *next_offset_)) {
    risks_.Add(RiskId::kTrailingData, std::to_string(size - end) + " bytes from " + AtOffset(end));
  }
  return true;
}

}  // namespace

bool LooksLikeGguf(const FileEnds& file) {
  const base::ByteView head = file.head;
  if (head.size() < 8 || base::AsText(head.first(4)) != "GGUF") return false;
  const std::uint32_t version = ReadLittle32(head.subspan(4));
  return version < 256 || __builtin_bswap32(version) < 256;
}

model::Facts ParseGguf(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  tensors.Begin();
  return GgufReader(source, budget, tensors).Read();
}

}  // namespace weighmaster::agent::formats
