#include "policy/model/lists/digest_lists.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "policy/base/check.h"
#include "policy/model/lists/encoded_lists.h"
#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<ListKind> kListNames[] = {{ListKind::kBlocked, "blocked"},
                                          {ListKind::kDenied, "denied"},
                                          {ListKind::kApproved, "approved"},
                                          {ListKind::kDeniedWeights, "denied weights"},
                                          {ListKind::kApprovedWeights, "approved weights"}};

using Member = std::pair<ListKind, std::vector<Sha256> DigestLists::*>;
constexpr Member kMembers[] = {{ListKind::kBlocked, &DigestLists::blocked},
                               {ListKind::kDenied, &DigestLists::denied},
                               {ListKind::kApproved, &DigestLists::approved},
                               {ListKind::kDeniedWeights, &DigestLists::denied_weights},
                               {ListKind::kApprovedWeights, &DigestLists::approved_weights}};

// A part always has these, also when they are empty; the others only when they are not.
bool IsAlwaysWritten(ListKind kind) { return kind <= ListKind::kApproved; }

bool IsKnownKind(std::uint32_t kind) {
  return kind >= static_cast<std::uint32_t>(ListKind::kBlocked) &&
         kind <= static_cast<std::uint32_t>(ListKind::kApprovedWeights);
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

std::string_view ListKindName(ListKind kind) { return NameOf(kListNames, kind); }

std::size_t MaxEncodedListsBytes(std::size_t digests) {
  return EncodedListsHeadBytes(std::size(kListNames)) + digests * Sha256::kBytes;
}

std::vector<Sha256>& DigestLists::of(ListKind kind) {
  const auto* const row = std::ranges::find(kMembers, kind, &Member::first);
  WM_CHECK(row != std::end(kMembers));
  return this->*row->second;
}

base::Bytes EncodeDigestLists(const DigestLists& lists) {
  std::vector<std::pair<ListKind, std::vector<Sha256>>> sorted;
  std::size_t count = 0;
  for (const auto& [kind, member] : kMembers) {
    if ((lists.*member).empty() && !IsAlwaysWritten(kind)) continue;
    sorted.emplace_back(kind, Sorted(lists.*member));
    count += sorted.back().second.size();
  }
  base::Bytes out;
  out.reserve(MaxEncodedListsBytes(count));
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

Sha256 DigestListsView::At(ListKind kind, std::uint64_t place) const {
  WM_CHECK(place < count(kind));
  const auto list = lists_[static_cast<std::size_t>(kind)];
  Sha256 digest;
  std::ranges::copy(list.subspan(static_cast<std::size_t>(place) * Sha256::kBytes, Sha256::kBytes),
                    digest.bytes.begin());
  return digest;
}

}  // namespace weighmaster::model
