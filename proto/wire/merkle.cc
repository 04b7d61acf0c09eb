#include "proto/wire/merkle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "policy/base/check.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::wire {
namespace {

constexpr std::array<std::uint8_t, 1> kLeafPrefix = {0x00};
constexpr std::array<std::uint8_t, 1> kNodePrefix = {0x01};

model::Sha256 NodeDigest(const model::Sha256& left, const model::Sha256& right) {
  openssl::Sha256Hasher hasher;
  hasher.Update(kNodePrefix);
  hasher.Update(left.view());
  hasher.Update(right.view());
  return hasher.Finish();
}

// The largest power of two below `count`, which is at least 2.
std::size_t SplitOf(std::size_t count) { return std::bit_floor(count - 1); }

void AppendPath(std::span<const model::Sha256> leaves, std::size_t index,
                std::vector<model::Sha256>& path) {
  if (leaves.size() == 1) return;
  const std::size_t split = SplitOf(leaves.size());
  const auto left = leaves.first(split);
  const auto right = leaves.subspan(split);
  if (index < split) {
    AppendPath(left, index, path);
    path.push_back(MerkleRoot(right));
  } else {
    AppendPath(right, index - split, path);
    path.push_back(MerkleRoot(left));
  }
}

// The root that a leaf and its path give, or nothing where the path's length does not fit.
std::optional<model::Sha256> RootFrom(const model::Sha256& leaf, std::size_t index,
                                      std::size_t count, std::span<const model::Sha256> path) {
  if (count == 1) return path.empty() ? std::optional(leaf) : std::nullopt;
  if (path.empty()) return std::nullopt;
  const std::size_t split = SplitOf(count);
  const bool left = index < split;
  const auto below =
      left ? RootFrom(leaf, index, split, path.first(path.size() - 1))
           : RootFrom(leaf, index - split, count - split, path.first(path.size() - 1));
  if (!below) return std::nullopt;
  return left ? NodeDigest(*below, path.back()) : NodeDigest(path.back(), *below);
}

}  // namespace

model::Sha256 LeafDigest(std::string_view salt, std::string_view body) {
  openssl::Sha256Hasher hasher;
  hasher.Update(kLeafPrefix);
  hasher.Update(base::AsBytes(salt));
  hasher.Update(base::AsBytes(body));
  return hasher.Finish();
}

model::Sha256 LeafOf(const BatchEvent& event) {
  return event.leaf ? *event.leaf : LeafDigest(event.salt, event.body);
}

model::Sha256 MerkleRoot(std::span<const model::Sha256> leaves) {
  WM_CHECK(!leaves.empty());
  if (leaves.size() == 1) return leaves.front();
  const std::size_t split = SplitOf(leaves.size());
  return NodeDigest(MerkleRoot(leaves.first(split)), MerkleRoot(leaves.subspan(split)));
}

base::Result<EventProof> MakeProof(const SealedBatch& batch, std::uint32_t index) {
  if (index >= batch.events.size()) {
    return base::OutOfRange("the batch holds " + std::to_string(batch.events.size()) +
                            " events; there is none at " + std::to_string(index));
  }
  std::vector<model::Sha256> leaves;
  std::ranges::transform(batch.events, std::back_inserter(leaves), LeafOf);
  EventProof proof{.index = index, .path = {}};
  AppendPath(leaves, index, proof.path);
  return proof;
}

bool VerifyProof(const BatchHeader& header, const EventProof& proof, const BatchEvent& event) {
  if (proof.index >= header.event_count) return false;
  return RootFrom(LeafOf(event), proof.index, header.event_count, proof.path) == header.merkle_root;
}

}  // namespace weighmaster::wire
