#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "proto/wire/seal.h"

namespace weighmaster::wire {

// The tree over a batch's events, as in RFC 6962 section 2.1 with a salt in each leaf, so that the
// digest of a short body that was removed can't be guessed.

// SHA-256(0x00 || salt || body).
model::Sha256 LeafDigest(std::string_view salt, std::string_view body);
// Of an event with or without its body.
model::Sha256 LeafOf(const BatchEvent& event);

// SHA-256(0x01 || left || right) at each node, split at the largest power of two below the count.
// At least one leaf.
model::Sha256 MerkleRoot(std::span<const model::Sha256> leaves);

// That one event is in a batch, to be shown beside its header and nothing else of the batch.
struct EventProof {
  std::uint32_t index = 0;          // of the event in its batch, from 0
  std::vector<model::Sha256> path;  // siblings from the leaf up (RFC 6962 section 2.1.1)
};
// OUT_OF_RANGE where the batch has no such event, or none at all any more.
base::Result<EventProof> MakeProof(const SealedBatch& batch, std::uint32_t index);
// Against a header whose signature the caller has verified.
bool VerifyProof(const BatchHeader& header, const EventProof& proof, const BatchEvent& event);

}  // namespace weighmaster::wire
