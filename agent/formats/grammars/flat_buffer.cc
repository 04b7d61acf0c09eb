#include "agent/formats/grammars/flat_buffer.h"

#include <algorithm>

#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::uint32_t kOffsetBytes = 4;
// Of a vtable: its own length and the table's, before the offsets of the fields.
constexpr std::uint32_t kVtableHeadBytes = 4;
constexpr std::uint32_t kVtableEntryBytes = 2;
// The offset of the root table, then the file identifier.
constexpr std::uint64_t kIdentifierAt = 4;
constexpr std::size_t kIdentifierBytes = 4;
constexpr std::size_t kFileHeadBytes = 8;

}  // namespace

bool BeginsFlatBuffer(const FileEnds& file, std::string_view identifier) {
  if (file.head.size() < kFileHeadBytes) return false;
  if (base::AsText(file.head.subspan(kIdentifierAt, kIdentifierBytes)) != identifier) return false;
  const std::uint64_t root = file.head[0] | (std::uint64_t{file.head[1]} << 8) |
                             (std::uint64_t{file.head[2]} << 16) |
                             (std::uint64_t{file.head[3]} << 24);
  return root >= kFileHeadBytes && root < file.size && file.size - root >= kOffsetBytes;
}

FlatBuffer::FlatBuffer(ByteSource& source, WorkBudget& budget, std::uint64_t begin,
                       std::uint64_t end)
    : cursor_(source, budget, 0, end),
      begin_(std::min(begin, cursor_.end())),
      end_(cursor_.end()),
      pages_(kPages) {}

void FlatBuffer::Break(std::string_view what, std::uint64_t at) {
  if (!going()) return;
  broken_ = std::string(what) + " at " + AtOffset(at);
}

base::ByteView FlatBuffer::BytesFrom(std::uint64_t at) {
  const std::uint64_t number = at / kPageBytes;
  Page& page = pages_[static_cast<std::size_t>(number % kPages)];
  if (page.number != number) {
    cursor_.Seek(number * kPageBytes);
    const base::ByteView bytes = cursor_.Peek(kPageBytes);
    std::copy(bytes.begin(), bytes.end(), page.bytes.begin());
    page.number = bytes.empty() ? UINT64_MAX : number;
    page.size = bytes.size();
  }
  const auto from = static_cast<std::size_t>(at % kPageBytes);
  if (from >= page.size) {
    Break(ReadFailureText(cursor_.failure()), at);
    return {};
  }
  return base::ByteView(page.bytes).subspan(from, page.size - from);
}

std::optional<std::uint64_t> FlatBuffer::Number(std::uint64_t at, std::uint32_t bytes) {
  cursor_.budget().Take(work::kWireField);
  if (cursor_.budget().spent()) return std::nullopt;
  if (at < begin_ || at > end_ || bytes > end_ - at) {
    Break("an offset that leads out of the data", at);
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (std::uint32_t done = 0; done < bytes;) {
    const base::ByteView found = BytesFrom(at + done);
    if (found.empty()) return std::nullopt;
    for (std::size_t i = 0; i < found.size() && done < bytes; ++i, ++done) {
      value |= std::uint64_t{found[i]} << (8 * done);
    }
  }
  return value;
}

std::optional<FlatTable> FlatBuffer::Root() {
  const auto at = Follow(begin_);
  return at.has_value() ? OpenTable(*at) : std::nullopt;
}

std::string FlatBuffer::Identifier() {
  const auto number = Number(begin_ + kIdentifierAt, kIdentifierBytes);
  std::string text;
  for (std::size_t i = 0; number.has_value() && i < kIdentifierBytes; ++i) {
    text += static_cast<char>(static_cast<std::uint8_t>(*number >> (8 * i)));
  }
  return text;
}

std::optional<std::uint64_t> FlatBuffer::Follow(std::uint64_t place) {
  const auto offset = Number(place, kOffsetBytes);
  if (!offset.has_value()) return std::nullopt;
  if (*offset == 0 || *offset > end_ - place) {
    Break("an offset that leads nowhere", place);
    return std::nullopt;
  }
  return place + *offset;
}

std::optional<FlatTable> FlatBuffer::OpenTable(std::uint64_t at) {
  const auto distance = Number(at, kOffsetBytes);
  if (!distance.has_value()) return std::nullopt;
  // Signed, and counted backwards from the table.
  const std::int64_t back = static_cast<std::int32_t>(static_cast<std::uint32_t>(*distance));
  const std::uint64_t vtable = at - static_cast<std::uint64_t>(back);
  const auto vtable_bytes = Number(vtable, kVtableEntryBytes);
  if (!vtable_bytes.has_value()) return std::nullopt;
  if (*vtable_bytes < kVtableHeadBytes || *vtable_bytes % kVtableEntryBytes != 0 ||
      *vtable_bytes > end_ - vtable) {
    Break("a vtable that is none", vtable);
    return std::nullopt;
  }
  // The length of the table, which comes next, holds only for one of those that share the vtable:
  // Python's builder leaves it out when it compares them.
  return FlatTable{
      at, vtable, static_cast<std::uint32_t>(*vtable_bytes - kVtableHeadBytes) / kVtableEntryBytes};
}

std::optional<std::uint64_t> FlatBuffer::Place(const FlatTable& table, std::uint32_t field,
                                               std::uint32_t bytes) {
  if (field >= table.fields) return std::nullopt;
  const std::uint64_t entry =
      table.vtable + kVtableHeadBytes + std::uint64_t{field} * kVtableEntryBytes;
  const auto offset = Number(entry, kVtableEntryBytes);
  if (!offset.has_value() || *offset == 0) return std::nullopt;
  if (*offset < kOffsetBytes || *offset + bytes > end_ - table.at) {
    Break("a field that is none", entry);
    return std::nullopt;
  }
  return table.at + *offset;
}

bool FlatBuffer::Has(const FlatTable& table, std::uint32_t field) {
  return Place(table, field, 1).has_value();
}

std::uint8_t FlatBuffer::U8(const FlatTable& table, std::uint32_t field, std::uint8_t otherwise) {
  const auto place = Place(table, field, 1);
  if (!place.has_value()) return otherwise;
  return static_cast<std::uint8_t>(Number(*place, 1).value_or(otherwise));
}

std::uint32_t FlatBuffer::U32(const FlatTable& table, std::uint32_t field,
                              std::uint32_t otherwise) {
  const auto place = Place(table, field, 4);
  if (!place.has_value()) return otherwise;
  return static_cast<std::uint32_t>(Number(*place, 4).value_or(otherwise));
}

std::uint64_t FlatBuffer::U64(const FlatTable& table, std::uint32_t field,
                              std::uint64_t otherwise) {
  const auto place = Place(table, field, 8);
  if (!place.has_value()) return otherwise;
  return Number(*place, 8).value_or(otherwise);
}

std::optional<FlatTable> FlatBuffer::Table(const FlatTable& table, std::uint32_t field) {
  const auto place = Place(table, field, kOffsetBytes);
  const auto at = place.has_value() ? Follow(*place) : std::nullopt;
  return at.has_value() ? OpenTable(*at) : std::nullopt;
}

FlatVector FlatBuffer::OpenVector(std::uint64_t at, std::uint32_t element_bytes) {
  const auto count = Number(at, kOffsetBytes);
  if (!count.has_value()) return {};
  const std::uint64_t begin = at + kOffsetBytes;
  if (*count > (end_ - begin) / element_bytes) {
    Break("a count of " + std::to_string(*count) + " elements", at);
    return {};
  }
  return {begin, static_cast<std::uint32_t>(*count)};
}

FlatVector FlatBuffer::Vector(const FlatTable& table, std::uint32_t field,
                              std::uint32_t element_bytes) {
  const auto place = Place(table, field, kOffsetBytes);
  const auto at = place.has_value() ? Follow(*place) : std::nullopt;
  return at.has_value() ? OpenVector(*at, element_bytes) : FlatVector{};
}

std::string FlatBuffer::OpenText(std::uint64_t at, std::size_t keep) {
  const FlatVector bytes = OpenVector(at, 1);
  if (bytes.begin == 0) return {};
  // Loaders hand texts on as C strings.
  const auto after = Number(bytes.begin + bytes.count, 1);
  if (!after.has_value()) return {};
  if (*after != 0) {
    Break("a text that does not end", at);
    return {};
  }
  std::string text;
  const std::size_t wanted = std::min<std::size_t>(bytes.count, keep);
  while (text.size() < wanted) {
    const base::ByteView found = BytesFrom(bytes.begin + text.size());
    if (found.empty()) return {};
    text += base::AsText(found.first(std::min(found.size(), wanted - text.size())));
  }
  return text;
}

std::string FlatBuffer::Text(const FlatTable& table, std::uint32_t field, std::size_t keep) {
  const auto place = Place(table, field, kOffsetBytes);
  const auto at = place.has_value() ? Follow(*place) : std::nullopt;
  return at.has_value() ? OpenText(*at, keep) : std::string();
}

std::uint32_t FlatBuffer::U32At(const FlatVector& vector, std::uint32_t index) {
  const std::uint64_t at = vector.begin + std::uint64_t{index} * 4;
  return static_cast<std::uint32_t>(Number(at, 4).value_or(0));
}

std::uint64_t FlatBuffer::U64At(const FlatVector& vector, std::uint32_t index) {
  return Number(vector.begin + std::uint64_t{index} * 8, 8).value_or(0);
}

std::optional<FlatTable> FlatBuffer::TableAt(const FlatVector& vector, std::uint32_t index) {
  const auto at = Follow(vector.begin + std::uint64_t{index} * kOffsetBytes);
  return at.has_value() ? OpenTable(*at) : std::nullopt;
}

std::string FlatBuffer::TextAt(const FlatVector& vector, std::uint32_t index, std::size_t keep) {
  const auto at = Follow(vector.begin + std::uint64_t{index} * kOffsetBytes);
  return at.has_value() ? OpenText(*at, keep) : std::string();
}

}  // namespace weighmaster::agent::formats
