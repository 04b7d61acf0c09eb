#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "agent/sensors/observation.h"
#include "policy/model/sighting.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::tests {

// A model as a sensor reports it: hashed, with contents that are told by `content`.
inline agent::sensors::ModelSeen Seen(const std::string& path, const std::string& content = "a") {
  agent::sensors::ModelSeen seen;
  model::Sighting& sighting = seen.sighting;
  sighting.path.bytes = path;
  sighting.identity.bytes = openssl::Sha256Of(base::AsBytes(path)).ToHex();
  sighting.size_bytes = 100 + content.size();
  sighting.modified_at = kTestEpoch;
  sighting.owner = {"1000", "someone"};
  sighting.facts.format = model::Format::kGguf;
  sighting.facts.name = content;
  sighting.digest.state = model::DigestState::kVerified;
  sighting.digest.sha256 = openssl::Sha256Of(base::AsBytes(content));
  sighting.digest.verified_at = kTestEpoch;
  seen.modified_ns = 1000;
  seen.changed_ns = 2000;
  return seen;
}

inline agent::sensors::ModelSeen Pending(const std::string& path) {
  agent::sensors::ModelSeen seen = Seen(path);
  seen.sighting.digest = {};
  return seen;
}

inline agent::sensors::WalkStarted WalkStarted(const std::string& root) { return {{root}}; }

inline agent::sensors::WalkFinished WalkFinished(const std::string& root, bool complete = true) {
  agent::sensors::WalkFinished finished;
  finished.coverage.sensor = "artifacts";
  finished.coverage.root.bytes = root;
  finished.coverage.state =
      complete ? model::CoverageState::kLooked : model::CoverageState::kPartly;
  finished.complete = complete;
  return finished;
}

}  // namespace weighmaster::tests
