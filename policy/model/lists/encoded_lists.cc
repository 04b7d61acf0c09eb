#include "policy/model/lists/encoded_lists.h"

#include <cstring>
#include <string>
#include <string_view>

#include "policy/model/lists/little_endian.h"

namespace weighmaster::model {
namespace {

// docs/formats/policy-lists.md.
constexpr std::string_view kMagic = "WMLISTS1";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kEntryBytes = 24;
constexpr std::uint32_t kMaxLists = 64;

struct TableEntry {
  std::uint32_t kind = 0;
  std::uint32_t record_bytes = 0;
  std::uint64_t count = 0;
  std::uint64_t offset = 0;
};

TableEntry ReadEntry(base::ByteView bytes, std::size_t at) {
  return {.kind = ReadInteger<std::uint32_t>(bytes, at),
          .record_bytes = ReadInteger<std::uint32_t>(bytes, at + 4),
          .count = ReadInteger<std::uint64_t>(bytes, at + 8),
          .offset = ReadInteger<std::uint64_t>(bytes, at + 16)};
}

base::Error Malformed(const std::string& what) {
  return base::InvalidArgument("these are no digest lists: " + what);
}

}  // namespace

base::Result<std::vector<EncodedList>> ReadEncodedLists(base::ByteView bytes) {
  if (bytes.size() < kHeaderBytes || base::AsText(bytes.first(kMagic.size())) != kMagic) {
    return Malformed("the first eight bytes are not " + std::string(kMagic));
  }
  const auto list_count = ReadInteger<std::uint32_t>(bytes, 8);
  if (ReadInteger<std::uint32_t>(bytes, 12) != 0) return Malformed("a reserved field is in use");
  if (list_count > kMaxLists) return Malformed("there are more than 64 lists");
  const std::size_t table_end = EncodedListsHeadBytes(list_count);
  if (bytes.size() < table_end) return Malformed("the table of lists is cut off");

  std::vector<EncodedList> lists;
  std::uint32_t previous_kind = 0;
  std::size_t end = table_end;
  for (std::uint32_t i = 0; i < list_count; ++i) {
    const TableEntry entry = ReadEntry(bytes, kHeaderBytes + i * kEntryBytes);
    const std::string what = "list " + std::to_string(i);
    if (entry.kind <= previous_kind) return Malformed(what + " is out of order");
    previous_kind = entry.kind;
    if (entry.offset != end) return Malformed(what + " does not begin where the one before ends");
    if (entry.record_bytes == 0) return Malformed(what + " has records of no size");
    // A division, because the product of two foreign numbers may overflow.
    if (entry.count > (bytes.size() - end) / entry.record_bytes) {
      return Malformed(what + " is cut off");
    }
    const std::size_t length = static_cast<std::size_t>(entry.count) * entry.record_bytes;
    lists.push_back({entry.kind, entry.record_bytes, bytes.subspan(end, length)});
    end += length;
  }
  if (end != bytes.size()) return Malformed("there are bytes after the last list");
  return lists;
}

bool IsStrictlyAscending(const EncodedList& list) {
  for (std::size_t at = list.record_bytes; at < list.records.size(); at += list.record_bytes) {
    const std::uint8_t* const here = list.records.data() + at;
    if (std::memcmp(here - list.record_bytes, here, list.record_bytes) >= 0) return false;
  }
  return true;
}

std::size_t EncodedListsHeadBytes(std::size_t lists) { return kHeaderBytes + lists * kEntryBytes; }

void AppendEncodedListsHead(base::Bytes& out, std::span<const ListShape> lists) {
  out.insert(out.end(), kMagic.begin(), kMagic.end());
  AppendInteger(out, static_cast<std::uint32_t>(lists.size()));
  AppendInteger(out, std::uint32_t{0});
  std::uint64_t offset = EncodedListsHeadBytes(lists.size());
  for (const ListShape& list : lists) {
    AppendInteger(out, list.kind);
    AppendInteger(out, list.record_bytes);
    AppendInteger(out, list.count);
    AppendInteger(out, offset);
    offset += list.count * list.record_bytes;
  }
}

}  // namespace weighmaster::model
