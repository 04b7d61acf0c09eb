#include "agent/formats/tensorflow/tf_checkpoint.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/protobuf_probe.h"
#include "agent/formats/grammars/protobuf_wire.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

// Two handles of at most 20 bytes each, filled up, and the mark.
constexpr std::uint64_t kFooterBytes = 48;
constexpr std::uint64_t kHandlesBytes = 40;
constexpr std::array<std::uint8_t, 8> kMark = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};
// Behind each block: how it is compressed, and a checksum.
constexpr std::uint64_t kTrailerBytes = 5;
// A block ends with the places where keys are written whole, and how many they are.
constexpr std::uint64_t kRestartBytes = 4;
constexpr std::uint64_t kCountBytes = 4;
constexpr std::uint8_t kStored = 0;
constexpr std::uint8_t kSnappy = 1;
constexpr std::size_t kMaxKeyBytes = 4'096;

namespace header_field {
constexpr std::uint32_t kShards = 1, kEndianness = 2, kVersion = 3;
}
namespace entry_field {
constexpr std::uint32_t kType = 1, kShape = 2, kShard = 3, kSize = 5, kSlice = 7;
}
constexpr std::uint32_t kMinConsumer = 2;
constexpr std::uint32_t kExtent = 2, kExtentSize = 1;
constexpr std::uint64_t kNewestVersion = 1;
constexpr std::uint64_t kMaxShards = 1U << 20;
constexpr std::size_t kMaxHeaderBytes = 64;

struct DataType {
  std::string_view name;
  std::uint64_t bytes;  // of one element in the data file; 0: not of one size, or not as packed
};
// types.proto, by number. Quantised ones are named for what they are stored as.
constexpr DataType kTypes[] = {
    {"", 0},
    {"F32", 4},
    {"F64", 8},
    {"I32", 4},
    {"U8", 1},
    {"I16", 2},
    {"I8", 1},
    {"STRING", 0},
    {"C64", 8},
    {"I64", 8},
    {"BOOL", 1},
    {"I8", 1},
    {"U8", 1},
    {"I32", 4},
    {"BF16", 2},
    {"I16", 2},
    {"U16", 2},
    {"U16", 2},
    {"C128", 16},
    {"F16", 2},
    {"RESOURCE", 0},
    {"VARIANT", 0},
    {"U32", 4},
    {"U64", 8},
    {"F8_E5M2", 1},
    {"F8_E4M3", 1},
    {"F8_E4M3FNUZ", 1},
    {"F8_E4M3B11FNUZ", 1},
    {"F8_E5M2FNUZ", 1},
    {"I4", 0},
    {"U4", 0},
    {"I2", 0},
    {"U2", 0},
};

// Where a block lies, without its trailer.
struct BlockHandle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// Takes a base-128 number from the beginning of what is at hand.
std::optional<std::uint64_t> TakeVarint(base::ByteView& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 63 && !bytes.empty(); shift += 7) {
    const std::uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

// Whether a block begins with an empty key whose value is a BundleHeaderProto. LevelDB has no empty
// keys, and the tables of other programs no such value.
bool BeginsWithHeader(base::ByteView block) {
  const auto shared = TakeVarint(block);
  const auto own = TakeVarint(block);
  const auto value = TakeVarint(block);
  if (!value.has_value() || *shared != 0 || *own != 0 || *value == 0 || *value > kMaxHeaderBytes ||
      *value > block.size()) {
    return false;
  }
  ProtobufProbe probe(FileEnds{block.first(static_cast<std::size_t>(*value)), {}, *value});
  while (const auto field = probe.Next()) {
    bool right = false;
    switch (field->number) {
      case header_field::kShards:
        right = field->type == WireType::kVarint && field->value <= kMaxShards;
        break;
      case header_field::kEndianness:
        right = field->type == WireType::kVarint && field->value <= 1;
        break;
      case header_field::kVersion:
        right = field->type == WireType::kBytes && field->fits;
        break;
      default:
        break;
    }
    if (!right) return false;
  }
  return probe.end() == ProtobufProbe::End::kWhole;
}

// The same of a block that is packed with Snappy: it begins with its length, and then, since
// nothing can repeat yet, with bytes as they are.
// https://github.com/google/snappy/blob/main/format_description.txt
bool BeginsWithPackedHeader(base::ByteView block) {
  if (!TakeVarint(block).has_value() || block.empty()) return false;
  const std::uint8_t tag = block.front();
  block = block.subspan(1);
  if ((tag & 3) != 0) return false;
  std::uint64_t length = (std::uint64_t{tag} >> 2U) + 1;
  if (length > 60) {
    const std::size_t count = static_cast<std::size_t>(length - 60);
    if (block.size() < count) return false;
    length = 0;
    for (std::size_t i = count; i > 0; --i) length = (length << 8) | block[i - 1];
    ++length;
    block = block.subspan(count);
  }
  const auto inside = static_cast<std::size_t>(std::min<std::uint64_t>(length, block.size()));
  return BeginsWithHeader(block.first(inside));
}

// One reading of one file.
class IndexReader {
 public:
  IndexReader(ByteSource& source, WorkBudget& budget)
      : index_(source, budget), data_(source, budget) {}

  model::Facts Read() &&;

 private:
  struct Entry {
    std::uint64_t type = 0;
    std::uint64_t elements = 1;
    std::uint64_t shard = 0;
    std::uint64_t size = 0;
    bool sliced = false;
    bool counted = true;
  };

  bool ReadFooter(BlockHandle& meta, BlockHandle& index);
  bool ReadIndex(const BlockHandle& index);
  bool ReadDataBlock(const BlockHandle& block);
  // Takes what lies between the end of what was read so far and a block for bytes of nobody.
  bool Place(const BlockHandle& block);
  bool Lies(const BlockHandle& block);
  // Leaves the cursor at the block's first entry, and returns where its entries end.
  std::optional<std::uint64_t> Open(Cursor& cursor, const BlockHandle& block);
  // The key of the entry at the cursor, whose value then lies there; `key` is the one before.
  std::optional<std::uint64_t> ReadKey(Cursor& cursor, std::uint64_t end, std::string& key);

  bool ReadHeader(std::uint64_t end);
  Entry ReadEntry(std::uint64_t end);
  void ReadShape(const WireField& shape, Entry& entry);
  void CountEntry(std::string_view key, std::uint64_t end);
  std::optional<BlockHandle> ReadHandle(Cursor& cursor);

  bool Broken(std::string_view what, std::uint64_t offset);
  std::uint64_t footer() const { return data_.end() - kFooterBytes; }

  Cursor index_;
  Cursor data_;
  RiskList risks_;
  bool has_header_ = false;
  std::uint64_t shards_ = 0;
  std::uint64_t next_ = 0;  // where the next block has to begin
  std::uint64_t unaccounted_ = 0;
  bool counted_ = true;
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

bool IndexReader::Broken(std::string_view what, std::uint64_t offset) {
  counted_ = false;
  if (data_.budget().spent()) return false;
  data_.budget().Take(work::kRisk);
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(offset));
  return false;
}

model::Facts IndexReader::Read() && {
  const base::ByteView head = data_.Peek(Cursor::kPeekBytes);
  const bool begins = BeginsWithHeader(head) || BeginsWithPackedHeader(head);
  if (data_.end() < kFooterBytes || !begins) return {};
  BlockHandle meta;
  BlockHandle index;
  const bool whole = ReadFooter(meta, index) && ReadIndex(index) && Place(meta) && Place(index);
  if (whole && next_ < footer()) unaccounted_ += footer() - next_;
  if (unaccounted_ > 0) {
    risks_.Add(RiskId::kTrailingData, std::to_string(unaccounted_) + " bytes that are in no block");
  }
  const bool spent = data_.budget().spent();
  if (spent) risks_.AddSpent(data_.offset());
  model::Facts facts;
  facts.format = model::Format::kTfCheckpoint;
  facts.tensor_count = tensors_;
  if (whole && counted_ && !spent) facts.parameters = parameters_;
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts.quantization = std::string(type);
  }
  facts.risks = std::move(risks_).Take();
  return facts;
}

std::optional<BlockHandle> IndexReader::ReadHandle(Cursor& cursor) {
  const auto offset = ReadVarint(cursor);
  const auto size = ReadVarint(cursor);
  if (!offset.has_value() || !size.has_value()) return std::nullopt;
  return BlockHandle{*offset, *size};
}

bool IndexReader::ReadFooter(BlockHandle& meta, BlockHandle& index) {
  if (!data_.Seek(footer())) return Broken(ReadFailureText(data_.failure()), footer());
  const auto first = ReadHandle(data_);
  const auto second = ReadHandle(data_);
  if (!second.has_value() || data_.offset() > footer() + kHandlesBytes) {
    return Broken("a footer without its blocks", footer());
  }
  meta = first.value_or(BlockHandle{});
  index = *second;
  return true;
}

std::optional<std::uint64_t> IndexReader::Open(Cursor& cursor, const BlockHandle& block) {
  if (!Lies(block)) return std::nullopt;
  const std::uint64_t end = block.offset + block.size;
  cursor.Seek(end);
  const auto packing = cursor.U8();
  if (packing == kSnappy) {
    counted_ = false;
    risks_.Add(RiskId::kOpaque, "a packed block at " + AtOffset(block.offset));
    return std::nullopt;
  }
  cursor.Seek(end - kCountBytes);
  const auto restarts = cursor.U32();
  if (!packing.has_value() || !restarts.has_value() || *packing != kStored ||
      *restarts > (block.size - kCountBytes) / kRestartBytes) {
    Broken("a block that is no list", block.offset);
    return std::nullopt;
  }
  cursor.Seek(block.offset);
  return end - kCountBytes - *restarts * kRestartBytes;
}

std::optional<std::uint64_t> IndexReader::ReadKey(Cursor& cursor, std::uint64_t end,
                                                  std::string& key) {
  const std::uint64_t begin = cursor.offset();
  const auto shared = ReadVarint(cursor);
  const auto own = ReadVarint(cursor);
  const auto value = ReadVarint(cursor);
  const bool read = shared.has_value() && own.has_value() && value.has_value() &&
                    cursor.offset() <= end && *own <= end - cursor.offset() &&
                    *value <= end - cursor.offset() - *own;
  if (!read || *shared > key.size() || *own > kMaxKeyBytes) {
    Broken("an entry that is none", begin);
    return std::nullopt;
  }
  const auto rest = cursor.Text(*own, kMaxKeyBytes);
  if (!rest.has_value()) return std::nullopt;
  key.resize(static_cast<std::size_t>(*shared));
  key += *rest;
  if (key.size() > kMaxKeyBytes) {
    Broken("a key of " + std::to_string(key.size()) + " bytes", begin);
    return std::nullopt;
  }
  return cursor.offset() + *value;
}

bool IndexReader::ReadIndex(const BlockHandle& index) {
  const auto end = Open(index_, index);
  if (!end.has_value()) return false;
  std::string key;
  while (index_.offset() < *end) {
    const auto value_end = ReadKey(index_, *end, key);
    if (!value_end.has_value()) return false;
    const std::uint64_t value = index_.offset();
    const auto block = ReadHandle(index_);
    if (!block.has_value() || index_.offset() > *value_end) {
      return Broken("a block's place that is none", value);
    }
    if (!Place(*block) || !ReadDataBlock(*block)) return false;
    index_.Seek(*value_end);
  }
  return true;
}

// Before the footer, with its trailer, and long enough for a list without entries.
bool IndexReader::Lies(const BlockHandle& block) {
  const bool lies = block.size >= kCountBytes && block.offset <= footer() &&
                    block.size <= footer() - block.offset &&
                    footer() - block.offset - block.size >= kTrailerBytes;
  return lies || Broken("a block of " + std::to_string(block.size) + " bytes", block.offset);
}

bool IndexReader::Place(const BlockHandle& block) {
  if (!Lies(block)) return false;
  if (block.offset < next_) return Broken("a block inside of another", block.offset);
  unaccounted_ += block.offset - next_;
  next_ = block.offset + block.size + kTrailerBytes;
  return true;
}

bool IndexReader::ReadDataBlock(const BlockHandle& block) {
  const auto end = Open(data_, block);
  if (!end.has_value()) return false;
  std::string key;
  while (data_.offset() < *end) {
    if (tensors_ >= base::limits::kMaxTensors) return Broken("too many tensors", data_.offset());
    const auto value_end = ReadKey(data_, *end, key);
    if (!value_end.has_value()) return false;
    if (!key.empty()) {
      CountEntry(key, *value_end);
    } else if (!ReadHeader(*value_end)) {
      return false;
    }
    data_.Seek(*value_end);
  }
  return true;
}

bool IndexReader::ReadHeader(std::uint64_t end) {
  const std::uint64_t begin = data_.offset();
  if (has_header_) return Broken("a second header", begin);
  has_header_ = true;
  WireMessage message(data_, end);
  while (const auto field = message.Next()) {
    if (field->number == header_field::kShards) shards_ = field->value;
    if (field->number != header_field::kVersion || field->type != WireType::kBytes) continue;
    data_.Seek(field->begin);
    WireMessage version(data_, field->end);
    while (const auto part = version.Next()) {
      if (part->number != kMinConsumer || part->value <= kNewestVersion) continue;
      risks_.Add(RiskId::kUnsupportedVersion, "a bundle of version " + std::to_string(part->value));
    }
  }
  return !message.broken() || Broken("a header that is broken", begin);
}

IndexReader::Entry IndexReader::ReadEntry(std::uint64_t end) {
  const std::uint64_t begin = data_.offset();
  Entry entry;
  WireMessage message(data_, end);
  while (const auto field = message.Next()) {
    switch (field->number) {
      case entry_field::kType:
        entry.type = field->value;
        break;
      case entry_field::kShape:
        ReadShape(*field, entry);
        break;
      case entry_field::kShard:
        entry.shard = field->value;
        break;
      case entry_field::kSize:
        entry.size = field->value;
        break;
      case entry_field::kSlice:
        entry.sliced = true;
        break;
      default:
        break;
    }
  }
  if (message.broken()) {
    entry.counted = false;
    Broken("an entry that is broken", begin);
  }
  return entry;
}

void IndexReader::ReadShape(const WireField& shape, Entry& entry) {
  if (shape.type != WireType::kBytes) return;
  data_.Seek(shape.begin);
  WireMessage message(data_, shape.end);
  while (const auto field = message.Next()) {
    if (field->number != kExtent || field->type != WireType::kBytes) continue;
    data_.budget().Take(work::kExtent);
    std::uint64_t size = 0;
    data_.Seek(field->begin);
    WireMessage extent(data_, field->end);
    while (const auto part = extent.Next()) {
      if (part->number == kExtentSize) size = part->value;
    }
    // A negative one is larger than any that can be.
    if (size >> 63 != 0 || __builtin_mul_overflow(entry.elements, size, &entry.elements)) {
      entry.counted = false;
    }
  }
  if (message.broken()) entry.counted = false;
}

void IndexReader::CountEntry(std::string_view key, std::uint64_t end) {
  data_.budget().Take(work::kTensor);
  const std::uint64_t begin = data_.offset();
  const Entry entry = ReadEntry(end);
  // The parts of a tensor that was saved in slices have keys that begin with a number, 0; the whole
  // has an entry of its own.
  const bool part = key.front() == '\0';
  if (!entry.sliced && entry.shard >= shards_ && shards_ > 0) {
    Broken("a tensor in data file " + std::to_string(entry.shard) + " of " +
               std::to_string(shards_) + ", said",
           begin);
  }
  const DataType type = entry.type < std::size(kTypes) ? kTypes[entry.type] : DataType{};
  std::uint64_t bytes = 0;
  if (!entry.counted) {
    Broken("a tensor of extents that can't be", begin);
  } else if (type.bytes > 0 && !entry.sliced &&
             (__builtin_mul_overflow(entry.elements, type.bytes, &bytes) || bytes != entry.size)) {
    Broken("a tensor whose bytes do not fit its shape", begin);
  }
  const bool weights = type.name != "STRING" && type.name != "RESOURCE" && type.name != "VARIANT";
  if (part || !weights) return;
  ++tensors_;
  if (!entry.counted) return;
  if (!type.name.empty()) elements_by_type_[type.name] += entry.elements;
  if (__builtin_add_overflow(parameters_, entry.elements, &parameters_)) counted_ = false;
}

}  // namespace

bool LooksLikeTfCheckpoint(const FileEnds& file) {
  if (file.size < kFooterBytes || file.tail.size() < kMark.size()) return false;
  const base::ByteView mark = file.tail.last(kMark.size());
  return std::equal(mark.begin(), mark.end(), kMark.begin(), kMark.end()) &&
         (BeginsWithHeader(file.head) || BeginsWithPackedHeader(file.head));
}

model::Facts ParseTfCheckpoint(ByteSource& source, WorkBudget& budget,
                               TensorMapWriter& /*tensors*/) {
  return IndexReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
