#include "policy/model/digest_lists.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<ListKind> kListKinds[] = {{ListKind::kBlocked, "blocked"},
                                          {ListKind::kDenied, "denied"},
                                          {ListKind::kApproved, "approved"}};

// docs/formats/policy-lists.md.
constexpr std::string_view kMagic = "WMLISTS1";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kEntryBytes = 24;
constexpr std::uint32_t kMaxLists = 64;

template <typename T>
void AppendInteger(base::Bytes& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

template <typename T>
T ReadInteger(base::ByteView bytes, std::size_t offset) {
  T value = 0;
  for (std::size_t i = sizeof value; i-- > 0;) {
    value = static_cast<T>((value << 8) | bytes[offset + i]);
  }
  return value;
}

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

bool IsKnownKind(std::uint32_t kind) {
  return kind >= static_cast<std::uint32_t>(ListKind::kBlocked) &&
         kind <= static_cast<std::uint32_t>(ListKind::kApproved);
}

bool IsStrictlyAscending(std::span<const std::uint8_t> digests) {
  for (std::size_t at = Sha256::kBytes; at < digests.size(); at += Sha256::kBytes) {
    const std::uint8_t* const here = digests.data() + at;
    if (std::memcmp(here - Sha256::kBytes, here, Sha256::kBytes) >= 0) return false;
  }
  return true;
}

std::vector<Sha256> Sorted(std::vector<Sha256> digests) {
  std::ranges::sort(digests);
  digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
  return digests;
}

base::Error Malformed(const std::string& what) {
  return base::InvalidArgument("these are no digest lists: " + what);
}

}  // namespace

std::string_view ListKindName(ListKind kind) { return NameOf(kListKinds, kind); }

std::size_t MaxEncodedListsBytes(std::size_t digests) {
  return kHeaderBytes + std::size(kListKinds) * kEntryBytes + digests * Sha256::kBytes;
}

base::Bytes EncodeDigestLists(const DigestLists& lists) {
  const std::pair<ListKind, std::vector<Sha256>> sorted[] = {
      {ListKind::kBlocked, Sorted(lists.blocked)},
      {ListKind::kDenied, Sorted(lists.denied)},
      {ListKind::kApproved, Sorted(lists.approved)},
  };
  base::Bytes out;
  out.reserve(MaxEncodedListsBytes(sorted[0].second.size() + sorted[1].second.size() +
                                   sorted[2].second.size()));
  out.insert(out.end(), kMagic.begin(), kMagic.end());
  AppendInteger(out, static_cast<std::uint32_t>(std::size(sorted)));
  AppendInteger(out, std::uint32_t{0});
  std::uint64_t offset = kHeaderBytes + std::size(sorted) * kEntryBytes;
  for (const auto& [kind, digests] : sorted) {
    AppendInteger(out, static_cast<std::uint32_t>(kind));
    AppendInteger(out, static_cast<std::uint32_t>(Sha256::kBytes));
    AppendInteger(out, static_cast<std::uint64_t>(digests.size()));
    AppendInteger(out, offset);
    offset += digests.size() * Sha256::kBytes;
  }
  for (const auto& [kind, digests] : sorted) {
    for (const Sha256& digest : digests) {
      out.insert(out.end(), digest.bytes.begin(), digest.bytes.end());
    }
  }
  return out;
}

base::Result<DigestListsView> DigestListsView::Parse(base::ByteView bytes) {
  if (bytes.size() < kHeaderBytes || base::AsText(bytes.first(kMagic.size())) != kMagic) {
    return Malformed("the first eight bytes are not " + std::string(kMagic));
  }
  const auto list_count = ReadInteger<std::uint32_t>(bytes, 8);
  if (ReadInteger<std::uint32_t>(bytes, 12) != 0) return Malformed("a reserved field is in use");
  if (list_count > kMaxLists) return Malformed("there are more than 64 lists");
  const std::size_t table_end = kHeaderBytes + list_count * kEntryBytes;
  if (bytes.size() < table_end) return Malformed("the table of lists is cut off");

  DigestListsView view;
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
    if (IsKnownKind(entry.kind)) {
      if (entry.record_bytes != Sha256::kBytes) {
        return Malformed(what + " does not hold digests of 32 bytes");
      }
      view.lists_[entry.kind] = bytes.subspan(end, length);
      if (!IsStrictlyAscending(view.lists_[entry.kind])) return Malformed(what + " is not sorted");
    }
    end += length;
  }
  if (end != bytes.size()) return Malformed("there are bytes after the last list");
  return view;
}

bool DigestListsView::Contains(ListKind kind, const Sha256& digest) const {
  const std::span<const std::uint8_t> list = lists_[static_cast<std::size_t>(kind)];
  std::size_t first = 0;
  std::size_t last = list.size() / Sha256::kBytes;
  while (first < last) {
    const std::size_t middle = first + (last - first) / 2;
    const int order =
        std::memcmp(list.data() + middle * Sha256::kBytes, digest.bytes.data(), Sha256::kBytes);
    if (order == 0) return true;
    if (order < 0) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return false;
}

std::uint64_t DigestListsView::count(ListKind kind) const {
  return lists_[static_cast<std::size_t>(kind)].size() / Sha256::kBytes;
}

}  // namespace weighmaster::model
