#include "agent/formats/coreml/coreml_weights.h"

#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kHeaderBytes = 64;
constexpr std::uint64_t kBlobHeaderBytes = 64;
constexpr std::uint32_t kVersion = 2;  // 1 is Espresso's, of another form
constexpr std::uint32_t kSentinel = 0xdeadbeef;

struct BlobType {
  std::string_view name;
  std::uint64_t bits;
};
// BlobDataType.hpp, by number.
constexpr BlobType kTypes[] = {
    {"", 0},     {"F16", 16}, {"F32", 32}, {"U8", 8},   {"I8", 8},      {"BF16", 16},
    {"I16", 16}, {"U16", 16}, {"I4", 4},   {"U1", 1},   {"U2", 2},      {"U4", 4},
    {"U3", 3},   {"U6", 6},   {"I32", 32}, {"U32", 32}, {"F8_E4M3", 8}, {"F8_E5M2", 8},
};

std::uint64_t ReadLittle(base::ByteView bytes, std::size_t at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = count; i > 0; --i) value = (value << 8) | bytes[at + i - 1];
  return value;
}

// One reading of one file. The first rule that is broken ends it.
class StorageReader {
 public:
  StorageReader(ByteSource& source, WorkBudget& budget) : cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  bool ReadBlobs();
  bool ReadBlob();
  bool Broken(std::string_view what, std::uint64_t offset);

  Cursor cursor_;
  model::Facts facts_;
  RiskList risks_;
  std::uint64_t next_ = kHeaderBytes;  // where the next blob's description has to begin
  std::uint64_t data_end_ = kHeaderBytes;
  bool counted_ = true;
  std::uint64_t blobs_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

bool StorageReader::Broken(std::string_view what, std::uint64_t offset) {
  if (cursor_.budget().spent()) {
    risks_.AddSpent(offset);
  } else {
    risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(offset));
  }
  return false;
}

model::Facts StorageReader::Read() && {
  facts_.format = model::Format::kCoreMlWeights;
  const bool whole = ReadBlobs();
  facts_.tensor_count = blobs_;
  if (whole && counted_) facts_.parameters = parameters_;
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts_.quantization = std::string(type);
  }
  // Whoever appends a blob pads what was there before; so may a writer after the last one.
  if (whole && cursor_.end() > next_) {
    risks_.Add(RiskId::kTrailingData,
               std::to_string(cursor_.end() - data_end_) + " bytes from " + AtOffset(data_end_));
  }
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

bool StorageReader::ReadBlobs() {
  const auto count = cursor_.U32();
  const auto version = cursor_.U32();
  if (!count.has_value() || !version.has_value() || *version != kVersion) {
    return Broken("a header that is none", 0);
  }
  if (*count > base::limits::kMaxTensors || *count > cursor_.end() / kBlobHeaderBytes) {
    return Broken("a count of " + std::to_string(*count) + " blobs", 0);
  }
  for (std::uint32_t i = 0; i < *count; ++i) {
    if (!ReadBlob()) return false;
  }
  return true;
}

bool StorageReader::ReadBlob() {
  cursor_.budget().Take(work::kTensor);
  const std::uint64_t begin = next_;
  if (!cursor_.Seek(begin)) return Broken(ReadFailureText(cursor_.failure()), begin);
  const auto sentinel = cursor_.U32();
  const auto type = cursor_.U32();
  const auto bytes = cursor_.U64();
  const auto offset = cursor_.U64();
  const auto padding_bits = cursor_.U64();
  if (!padding_bits.has_value()) return Broken(ReadFailureText(cursor_.failure()), begin);
  if (*sentinel != kSentinel) return Broken("a blob without its mark", begin);
  std::uint64_t end = 0;
  if (*offset < begin + kBlobHeaderBytes || *offset % kAlignment != 0 ||
      __builtin_add_overflow(*offset, *bytes, &end) || end > cursor_.end()) {
    return Broken(
        "a blob of " + std::to_string(*bytes) + " bytes from " + AtOffset(*offset) + ", described",
        begin);
  }
  data_end_ = end;
  next_ = (end + kAlignment - 1) / kAlignment * kAlignment;
  ++blobs_;
  if (*type == 0 || *type >= std::size(kTypes)) {  // newer than the table
    counted_ = false;
    return true;
  }
  const BlobType& known = kTypes[*type];
  std::uint64_t bits = 0;
  // The padding is only said of elements that are no whole bytes.
  const std::uint64_t padding = known.bits < 8 ? *padding_bits : 0;
  if (__builtin_mul_overflow(*bytes, std::uint64_t{8}, &bits) || padding > 7 || padding > bits ||
      (bits - padding) % known.bits != 0) {
    return Broken("a blob that is no whole number of elements", begin);
  }
  const std::uint64_t elements = (bits - padding) / known.bits;
  elements_by_type_[known.name] += elements;
  if (__builtin_add_overflow(parameters_, elements, &parameters_)) counted_ = false;
  return true;
}

}  // namespace

bool LooksLikeCoreMlWeights(const FileEnds& file) {
  const base::ByteView head = file.head;
  if (head.size() < kHeaderBytes + kBlobHeaderBytes) return false;
  const std::uint64_t count = ReadLittle(head, 0, 4);
  return count >= 1 && count <= base::limits::kMaxTensors && ReadLittle(head, 4, 4) == kVersion &&
         ReadLittle(head, kHeaderBytes, 4) == kSentinel &&
         ReadLittle(head, kHeaderBytes + 16, 8) == kHeaderBytes + kBlobHeaderBytes;
}

model::Facts ParseCoreMlWeights(ByteSource& source, WorkBudget& budget,
                                TensorMapWriter& /*tensors*/) {
  return StorageReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
