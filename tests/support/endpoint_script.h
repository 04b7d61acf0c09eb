#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/base/random.h"
#include "policy/model/event.h"
#include "proto/wire/seal.h"
#include "tests/support/keys.h"
#include "third_party/openssl/key.h"

namespace weighmaster::tests {

// An id whose bytes are all `n`.
model::Id TestId(std::uint8_t n);
// The digest of the text of `n`.
model::Sha256 TestDigest(int n);

// A sighting of the model number `n`, verified, at this path.
model::Sighting TestSighting(const std::string& path, int n);
model::Verdict TestVerdict(model::Outcome outcome);

// What an endpoint would seal, without an agent: one chain of one key, batch after batch.
class EndpointScript {
 public:
  EndpointScript(const openssl::PrivateKey& key, model::Id chain, std::uint64_t seed = 1);

  // The next batch of the chain. Its class is the first event's.
  wire::SealedBatch Seal(std::vector<model::EventBody> events);
  // The same of serialised events, whatever they are.
  wire::SealedBatch SealBodies(model::PriorityClass priority, std::vector<std::string> bodies);
  // The first batch of the chain.
  wire::SealedBatch Start(model::ChainReason reason = model::ChainReason::kEnrolled,
                          model::Id old_chain = {});

  // The time of the events sealed next; kTestEpoch at first.
  void set_wall(base::WallTime wall) { wall_ = wall; }

  // Goes back or aside: what is sealed next takes this place.
  wire::ChainPosition& position() { return position_; }
  const openssl::PrivateKey& key() const { return key_; }

 private:
  const openssl::PrivateKey& key_;
  wire::ChainPosition position_;
  base::SeededRandom random_;
  base::WallTime wall_ = kTestEpoch;
};

}  // namespace weighmaster::tests
