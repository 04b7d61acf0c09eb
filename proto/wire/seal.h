#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policy/base/random.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "policy/model/event.h"
#include "third_party/openssl/key.h"

namespace weighmaster::wire {

// The sealed batch, docs/formats/sealed-batch.md, as plain values.

enum class ClockState : std::uint8_t { kUnknown = 0, kSynchronised = 1, kUnsynchronised = 2 };

struct BatchHeader {
  model::Id chain;
  model::Sha256 key_id;
  std::uint64_t number = 0;
  std::uint64_t first_event = 0;
  std::uint32_t event_count = 0;
  model::PriorityClass priority = model::PriorityClass::kControl;
  std::optional<model::Sha256> previous;  // none in batch 1
  model::Sha256 merkle_root;
  std::map<model::PriorityClass, std::uint64_t> dropped;  // cumulative
  model::Id boot_id;
  base::WallTime wall;
  base::BootTime boot;
  ClockState clock_state = ClockState::kUnknown;
};

// One event beside its header: salt and body, or the leaf alone once the body is gone.
struct BatchEvent {
  std::string salt;  // 16 bytes, or empty
  std::string body;  // a serialised weighmaster.v1.Event
  std::optional<model::Sha256> leaf;
};

// What travels and is stored: the header as the bytes that were signed.
struct SealedBatch {
  std::string header;
  openssl::Signature signature{};
  std::vector<BatchEvent> events;  // event_count of them, or none

  std::size_t ByteSize() const;
};

// Where the next batch goes in its chain.
struct ChainPosition {
  model::Id chain;
  std::uint64_t next_number = 1;
  std::uint64_t next_event = 1;
  std::optional<model::Sha256> previous;
};

// The facts of the moment of sealing.
struct SealContext {
  model::PriorityClass priority = model::PriorityClass::kControl;
  std::map<model::PriorityClass, std::uint64_t> dropped;
  model::Id boot_id;
  base::WallTime wall;
  base::BootTime boot;
  ClockState clock_state = ClockState::kUnknown;
};

// Seals 1 to limits::kMaxEventsPerBatch serialised events. Fails when the signer does;
// INVALID_ARGUMENT for events or a position outside the limits is a defect of the caller.
base::Result<SealedBatch> Seal(const ChainPosition& position, const SealContext& context,
                               std::vector<std::string> bodies, const openssl::Signer& signer,
                               base::Random& random);

// The digest that is signed and chained: SHA-256 over the domain "weighmaster batch header v1\n"
// and the header's bytes.
model::Sha256 HeaderDigest(std::string_view header);

// Bounds-checked: every id and digest has its length, counts are within limits, batch 1 has no
// previous digest and all others have one.
base::Result<BatchHeader> ParseHeader(std::string_view header);

// Everything about a batch that can be checked from the batch and its key alone: the header parses,
// the key is the one named, the signature holds, the events match count and Merkle root and sizes.
// Returns the header. The message of the error says which check failed.
base::Result<BatchHeader> VerifyBatch(const SealedBatch& batch, const openssl::PublicKey& key);
// The last of these checks alone: that the events are those of the header.
base::Status VerifyEvents(const SealedBatch& batch, const BatchHeader& header);

}  // namespace weighmaster::wire
