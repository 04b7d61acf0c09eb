#include "tests/support/endpoint_script.h"

#include <utility>

#include "policy/base/check.h"
#include "proto/wire/convert.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::tests {

model::Id TestId(std::uint8_t n) {
  model::Id id;
  id.bytes.fill(n);
  return id;
}

model::Sha256 TestDigest(int n) { return openssl::Sha256Of(base::AsBytes(std::to_string(n))); }

model::Sighting TestSighting(const std::string& path, int n) {
  model::Sighting sighting;
  sighting.path.bytes = path;
  sighting.identity.bytes = std::string(1, '\1') + std::to_string(n);
  sighting.size_bytes = 1'000;
  sighting.modified_at = kTestEpoch;
  sighting.owner = {"1000", "ada"};
  sighting.facts.format = model::Format::kGguf;
  sighting.facts.name = "model " + std::to_string(n);
  sighting.digest.state = model::DigestState::kVerified;
  sighting.digest.sha256 = TestDigest(n);
  sighting.digest.verified_at = kTestEpoch;
  return sighting;
}

model::Verdict TestVerdict(model::Outcome outcome) {
  model::Verdict verdict;
  verdict.outcome = outcome;
  verdict.severity = model::SeverityOf(outcome);
  verdict.rule = "default";
  verdict.reason = "a test says so";
  verdict.policy_version = 1;
  return verdict;
}

EndpointScript::EndpointScript(const openssl::PrivateKey& key, model::Id chain, std::uint64_t seed)
    : key_(key), random_(seed) {
  position_.chain = chain;
}

wire::SealedBatch EndpointScript::Seal(std::vector<model::EventBody> events) {
  const model::PriorityClass priority = model::PriorityOf(events.at(0));
  std::vector<std::string> bodies;
  for (model::EventBody& body : events) {
    bodies.push_back(
        wire::SerialiseEvent({wall_, base::BootTime{}, TestId(0xb0), std::move(body)}));
  }
  return SealBodies(priority, std::move(bodies));
}

wire::SealedBatch EndpointScript::SealBodies(model::PriorityClass priority,
                                             std::vector<std::string> bodies) {
  wire::SealContext context;
  context.priority = priority;
  context.boot_id = TestId(0xb0);
  context.wall = wall_;
  const std::size_t events = bodies.size();
  auto sealed = wire::Seal(position_, context, std::move(bodies), key_, random_);
  WM_CHECK(sealed.has_value());
  position_.previous = wire::HeaderDigest(sealed->header);
  position_.next_number += 1;
  position_.next_event += events;
  return *std::move(sealed);
}

wire::SealedBatch EndpointScript::Start(model::ChainReason reason, model::Id old_chain) {
  model::ChainStarted start;
  start.reason = reason;
  start.old_chain = old_chain;
  return Seal({start});
}

}  // namespace weighmaster::tests
