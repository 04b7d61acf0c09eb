#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/digest.h"

namespace weighmaster::model {

// Which list a digest stands on: the first three hold SHA-256 of files, the others weights digests.
enum class ListKind : std::uint8_t {
  kBlocked = 1,
  kDenied = 2,
  kApproved = 3,
  kDeniedWeights = 4,
  kApprovedWeights = 5,
};
inline constexpr ListKind kListKinds[] = {ListKind::kBlocked, ListKind::kDenied,
                                          ListKind::kApproved, ListKind::kDeniedWeights,
                                          ListKind::kApprovedWeights};
std::string_view ListKindName(ListKind kind);  // "blocked", "denied", "approved",
                                               // "denied weights", "approved weights"

// The `lists` part of a bundle: a frozen encoding that every agent version reads, sorted, fit to be
// mapped from disk and searched in place. docs/formats/policy-lists.md is its specification.
//
// EncodeDigestLists sorts and removes repeats.
struct DigestLists {
  std::vector<Sha256> blocked;
  std::vector<Sha256> denied;
  std::vector<Sha256> approved;
  std::vector<Sha256> denied_weights = {};
  std::vector<Sha256> approved_weights = {};

  std::vector<Sha256>& of(ListKind kind);
};
base::Bytes EncodeDigestLists(const DigestLists& lists);
// The most that EncodeDigestLists can need for so many digests on all lists together.
std::size_t MaxEncodedListsBytes(std::size_t digests);

// A view over encoded lists. Parse checks every bound and the order of every digest, once; Contains
// is then a binary search. The bytes must outlive the view and not change. A value.
class DigestListsView {
 public:
  // Empty lists.
  DigestListsView() = default;
  static base::Result<DigestListsView> Parse(base::ByteView bytes);

  bool Contains(ListKind kind, const Sha256& digest) const;
  std::uint64_t count(ListKind kind) const;
  // The digest at this place of the list, which is sorted; `place` is below count(kind).
  Sha256 At(ListKind kind, std::uint64_t place) const;

 private:
  std::span<const std::uint8_t> lists_[6];  // by ListKind; 32 bytes a digest
};

}  // namespace weighmaster::model
