#pragma once

#include <string>

#include "policy/model/path.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"
#include "proto/wire/trust.h"
#include "server/rollout/rollout.h"

namespace weighmaster::sim {

// The models that lie on simulated endpoints, by number, and the policies that judge them.

model::Sighting MakeSighting(const model::Path& path, int content, bool hashed);
// Whether this is model number `content`, hashed.
bool IsContent(const model::Sighting& sighting, int content);

// Policy version n denies contents that n divides, by digest, and warns of those of a licence that
// n chooses. Signed by the test fleet's policy key; its floor is two versions below. The lists of
// every other version are too long to come with an offer, those of every fourth for one chunk.
// Every third withholds licences.
server::rollout::Publication MakePublication(std::uint64_t version, base::WallTime now);

// What that policy says of a hashed sighting of this content, told without the engine.
model::Outcome NaiveOutcome(std::uint64_t version, int content);

// What a server is to know of its licence then.
std::string NaiveLicense(std::uint64_t version, int content);

inline constexpr int kContents = 24;

}  // namespace weighmaster::sim
