#include "policy/model/digest_lists.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "policy/model/encoded_lists.h"
#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<ListKind> kListKinds[] = {{ListKind::kBlocked, "blocked"},
                                          {ListKind::kDenied, "denied"},
                                          {ListKind::kApproved, "approved"}};

bool IsKnownKind(std::uint32_t kind) {
  return kind >= static_cast<std::uint32_t>(ListKind::kBlocked) &&
         kind <= static_cast<std::uint32_t>(ListKind::kApproved);
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
  return EncodedListsHeadBytes(std::size(kListKinds)) + digests * Sha256::kBytes;
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
  std::vector<ListShape> shapes;
  for (const auto& [kind, digests] : sorted) {
    shapes.push_back({static_cast<std::uint32_t>(kind), Sha256::kBytes, digests.size()});
  }
  AppendEncodedListsHead(out, shapes);
  for (const auto& [kind, digests] : sorted) {
    for (const Sha256& digest : digests) {
      out.insert(out.end(), digest.bytes.begin(), digest.bytes.end());
    }
  }
  return out;
}

base::Result<DigestListsView> DigestListsView::Parse(base::ByteView bytes) {
  WM_ASSIGN_OR_RETURN(const std::vector<EncodedList> lists, ReadEncodedLists(bytes));
  DigestListsView view;
  for (const EncodedList& list : lists) {
    if (!IsKnownKind(list.kind)) continue;
    const std::string what = "the list of kind " + std::to_string(list.kind);
    if (list.record_bytes != Sha256::kBytes) {
      return Malformed(what + " does not hold digests of 32 bytes");
    }
    if (!IsStrictlyAscending(list)) return Malformed(what + " is not sorted");
    view.lists_[list.kind] = list.records;
  }
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
