#pragma once

#include <string>
#include <vector>

#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "proto/wire/seal.h"
#include "server/store/store.h"
#include "tests/support/endpoint_script.h"
#include "third_party/openssl/key.h"

namespace weighmaster::bench {

// Endpoint number n, the same in every process: nothing of it has to be kept.
model::Id EndpointId(int n);
const openssl::PrivateKey& EndpointKey(int n);

// Endpoints 0 to count - 1; those that are there already stay as they are. Blocks.
void EnrolEndpoints(server::store::Store& store, int count, base::WallTime now);

// What endpoint n tells its server, sealed as an agent seals it, without an agent.
class TellingEndpoint {
 public:
  explicit TellingEndpoint(int n);

  wire::SealedBatch Start() { return script_.Start(); }

  // `count` models not seen before, from a world of `kModelsInTheWorld`, in four batches as an
  // agent tells of them: seen, judged without their digest, hashed, judged with it. At most a
  // batch's events.
  std::vector<wire::SealedBatch> FindModels(int count);

  // The inventory of an endpoint as one batch of sightings and one of verdicts, with the model that
  // every endpoint has, and a batch that says that all was looked at.
  std::vector<wire::SealedBatch> TellInventory(int count);

  // The model that every endpoint has.
  static model::Sha256 CommonDigest();

 private:
  model::Sighting NextSighting(int model);

  const int n_;
  tests::EndpointScript script_;
  int found_ = 0;
};

}  // namespace weighmaster::bench
