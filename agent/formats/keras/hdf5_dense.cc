#include "agent/formats/keras/hdf5_dense.h"

#include <algorithm>
#include <bit>
#include <set>
#include <vector>

namespace weighmaster::agent::formats {
namespace {

// A record of 11 bytes in nodes of 512 makes trees of three levels for a million links.
constexpr std::size_t kMaxTreeDepth = 8;
constexpr std::size_t kMaxRecordBytes = 64;
constexpr std::uint64_t kMaxNodeBytes = 1 * base::limits::kMiB;
constexpr std::uint64_t kNodeFrame = 10;  // signature, version, type and checksum
// An object's id: what kind it is stands in two bits of its first byte.
constexpr unsigned kManaged = 0;
constexpr std::uint64_t kMaxBlockBytes = 1ULL << 31;  // the library's

unsigned Log2(std::uint64_t value) { return static_cast<unsigned>(std::bit_width(value)) - 1; }
// How many bytes hold every number up to `most`.
std::size_t BytesFor(std::uint64_t most) { return most == 0 ? 1 : Log2(most) / 8 + 1; }

std::uint64_t LittleEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

// One walk over a B-tree of version 2.
class IdReader {
 public:
  IdReader(Hdf5Bytes& bytes, std::size_t id_begin, std::size_t id_bytes,
           const std::function<bool(const std::string& id)>& take)
      : bytes_(bytes), id_begin_(id_begin), id_bytes_(id_bytes), take_(take) {}

  bool Read(std::uint64_t place);

 private:
  struct Node {
    std::uint64_t place = 0;
    std::uint64_t records = 0;
    std::size_t level = 0;  // 0: a leaf
  };
  bool ReadHeader(std::uint64_t place, Node& root);
  bool ReadNode(const Node& node);

  Hdf5Bytes& bytes_;
  const std::size_t id_begin_;
  const std::size_t id_bytes_;
  const std::function<bool(const std::string& id)>& take_;
  std::uint64_t record_bytes_ = 0;
  // By the level of a node: how many records it can have, and how wide it writes how many those
  // below one of its children are.
  std::vector<std::uint64_t> most_records_;
  std::vector<std::size_t> total_bytes_;
  std::vector<Node> open_;
  std::set<std::uint64_t> seen_;
  bool enough_ = false;
};

bool IdReader::Read(std::uint64_t place) {
  Node root;
  if (!ReadHeader(place, root)) return false;
  if (root.place != Hdf5Bytes::kNowhere && root.records > 0) open_.push_back(root);
  while (!open_.empty() && !enough_) {
    const Node node = open_.back();
    open_.pop_back();
    if (!seen_.insert(node.place).second || !ReadNode(node)) return false;
  }
  return true;
}

bool IdReader::ReadHeader(std::uint64_t place, Node& root) {
  Cursor& cursor = bytes_.cursor();
  if (!bytes_.TakeSignature(place, "BTHD") || !cursor.Skip(2)) return false;
  const auto node_bytes = cursor.U32();
  const auto record_bytes = cursor.U16();
  const auto depth = cursor.U16();
  if (!AllRead(node_bytes, record_bytes, depth) || !cursor.Skip(2)) return false;
  const auto root_place = bytes_.Address();
  const auto root_records = cursor.U16();
  if (!AllRead(root_place, root_records)) return false;
  record_bytes_ = *record_bytes;
  if (record_bytes_ < id_begin_ + id_bytes_ || record_bytes_ > kMaxRecordBytes) return false;
  if (*depth > kMaxTreeDepth || *node_bytes > kMaxNodeBytes) return false;
  if (*node_bytes < kNodeFrame + record_bytes_) return false;
  most_records_ = {(*node_bytes - kNodeFrame) / record_bytes_};
  total_bytes_ = {0};
  std::uint64_t total = most_records_[0];
  for (std::size_t level = 1; level <= *depth; ++level) {
    const std::uint64_t pointer =
        bytes_.address_bytes() + BytesFor(most_records_[0]) + total_bytes_[level - 1];
    if (*node_bytes < kNodeFrame + record_bytes_ + 2 * pointer) return false;
    const std::uint64_t most = (*node_bytes - kNodeFrame - pointer) / (record_bytes_ + pointer);
    if (__builtin_mul_overflow(most + 1, total, &total) ||
        __builtin_add_overflow(total, most, &total)) {
      return false;
    }
    most_records_.push_back(most);
    total_bytes_.push_back(BytesFor(total));
  }
  root = {*root_place, *root_records, *depth};
  return true;
}

bool IdReader::ReadNode(const Node& node) {
  Cursor& cursor = bytes_.cursor();
  if (node.records > most_records_[node.level]) return false;
  if (!bytes_.TakeSignature(node.place, node.level == 0 ? "BTLF" : "BTIN")) return false;
  if (!cursor.Skip(2)) return false;
  const std::uint64_t records = cursor.offset();
  for (std::uint64_t i = 0; i < node.records && !enough_; ++i) {
    cursor.budget().Take(work::kWireField);
    if (!cursor.Seek(records + i * record_bytes_ + id_begin_)) return false;
    const auto id = cursor.Text(id_bytes_, id_bytes_);
    if (!id.has_value()) return false;
    enough_ = !take_(*id);
  }
  if (node.level == 0 || enough_) return true;
  if (!cursor.Seek(records + node.records * record_bytes_)) return false;
  for (std::uint64_t i = 0; i <= node.records; ++i) {
    const auto place = bytes_.Address();
    const auto count = bytes_.Number(BytesFor(most_records_[0]));
    if (!place.has_value() || !count.has_value()) return false;
    if (!cursor.Skip(total_bytes_[node.level - 1])) return false;
    open_.push_back({*place, *count, node.level - 1});
  }
  return true;
}

}  // namespace

std::optional<FractalHeap> FractalHeap::Open(Hdf5Bytes& bytes, std::uint64_t place) {
  FractalHeap heap(bytes);
  if (!heap.ReadHeader(place)) return std::nullopt;
  return heap;
}

bool FractalHeap::ReadHeader(std::uint64_t place) {
  Cursor& cursor = bytes_.cursor();
  if (!bytes_.TakeSignature(place, "FRHP") || !cursor.Skip(1)) return false;
  const auto id_bytes = cursor.U16();
  const auto filter_bytes = cursor.U16();
  if (!AllRead(id_bytes, filter_bytes) || *filter_bytes != 0 || !cursor.Skip(1)) return false;
  const auto most_managed = cursor.U32();
  // Next huge id, their index; free space, its manager; eight counts of what the heap holds.
  const std::size_t skipped = 10 * bytes_.length_bytes() + 2 * bytes_.address_bytes();
  if (!most_managed.has_value() || !cursor.Skip(skipped)) return false;
  const auto width = cursor.U16();
  const auto start = bytes_.Length();
  const auto direct = bytes_.Length();
  const auto heap_bits = cursor.U16();
  if (!AllRead(width, start, direct, heap_bits) || !cursor.Skip(2)) return false;
  const auto root = bytes_.Address();
  const auto rows = cursor.U16();
  if (!root.has_value() || !rows.has_value()) return false;
  const bool powers = std::has_single_bit(*width) && std::has_single_bit(*start) &&
                      std::has_single_bit(*direct) && *start <= *direct;
  if (!powers || *direct > kMaxBlockBytes || *heap_bits > 64) return false;
  id_bytes_ = *id_bytes;
  width_log2_ = Log2(*width);
  start_log2_ = Log2(*start);
  direct_log2_ = Log2(*direct);
  offset_bytes_ = (std::size_t{*heap_bits} + 7) / 8;
  size_bytes_ = std::min<std::size_t>((direct_log2_ + 7) / 8, BytesFor(*most_managed));
  root_ = *root;
  rows_ = *rows;
  return id_bytes_ >= 1 + offset_bytes_ + size_bytes_ && id_bytes_ <= kMaxRecordBytes;
}

std::optional<Hdf5Range> FractalHeap::Find(std::string_view id) {
  if (id.size() < 1 + offset_bytes_ + size_bytes_) return std::nullopt;
  const auto first = static_cast<unsigned char>(id.front());
  if (((first >> 4) & 3U) != kManaged) return std::nullopt;
  const std::uint64_t offset = LittleEndian(id.substr(1, offset_bytes_));
  const std::uint64_t size = LittleEndian(id.substr(1 + offset_bytes_, size_bytes_));
  const auto begin = PlaceOf(offset);
  const std::uint64_t end = bytes_.cursor().end();
  if (!begin.has_value() || *begin > end || size > end - *begin) return std::nullopt;
  return Hdf5Range{*begin, *begin + size};
}

// Row 0 of the table has blocks of the first size; so has row 1, and each further row blocks twice
// as large as the one before. Blocks that are too large to be one are tables again.
std::optional<std::uint64_t> FractalHeap::PlaceOf(std::uint64_t offset) {
  Cursor& cursor = bytes_.cursor();
  const auto within = [](std::uint64_t block, std::uint64_t at) -> std::optional<std::uint64_t> {
    std::uint64_t place = 0;
    if (block == Hdf5Bytes::kNowhere || __builtin_add_overflow(block, at, &place)) {
      return std::nullopt;
    }
    return place;
  };
  if (rows_ == 0) {
    return offset >> start_log2_ == 0 ? within(root_, offset) : std::nullopt;
  }
  const unsigned row_log2 = start_log2_ + width_log2_;
  const std::uint64_t direct_rows = direct_log2_ - start_log2_ + 2;
  std::uint64_t table = root_;
  std::uint64_t rows = rows_;
  // Each table below holds fewer rows than that above it, so this ends.
  while (true) {
    const std::uint64_t in_rows = offset >> row_log2;
    const std::uint64_t row = in_rows == 0 ? 0 : Log2(in_rows) + 1;
    if (row >= rows) return std::nullopt;
    const unsigned block_log2 = start_log2_ + (row == 0 ? 0U : static_cast<unsigned>(row) - 1);
    const std::uint64_t row_begin = row == 0 ? 0 : std::uint64_t{1} << (row_log2 + row - 1);
    const std::uint64_t column = (offset - row_begin) >> block_log2;
    const std::uint64_t entry = (row << width_log2_) + column;
    if (!bytes_.TakeSignature(table, "FHIB")) return std::nullopt;
    const std::uint64_t before =
        1 + bytes_.address_bytes() + offset_bytes_ + entry * bytes_.address_bytes();
    if (!cursor.Skip(before)) return std::nullopt;
    const auto block = bytes_.Address();
    if (!block.has_value()) return std::nullopt;
    offset = (offset - row_begin) & ((std::uint64_t{1} << block_log2) - 1);
    if (row < direct_rows) return within(*block, offset);
    table = *block;
    rows = std::min<std::uint64_t>(rows - 1, block_log2 - row_log2 + 1);
  }
}

bool ReadHeapIds(Hdf5Bytes& bytes, std::uint64_t place, std::size_t id_begin, std::size_t id_bytes,
                 const std::function<bool(const std::string& id)>& take) {
  return IdReader(bytes, id_begin, id_bytes, take).Read(place);
}

}  // namespace weighmaster::agent::formats
