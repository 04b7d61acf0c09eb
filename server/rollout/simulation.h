#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/path.h"
#include "policy/model/verdict.h"
#include "server/store/store.h"

namespace weighmaster::server::rollout {

// What endpoints would say if a policy came into force on all of them, and how that differs from
// what they say now.

// A model whose verdict would be another.
struct SimulatedChange {
  model::Id endpoint;
  std::string hostname;
  model::Path path;
  std::optional<model::Sha256> sha256;  // claimed or verified
  std::string rule_now;                 // "": not judged yet
  model::Verdict verdict;
};

// All models that go from one outcome to another, or stay with it.
struct SimulatedTransition {
  std::optional<model::Outcome> from;  // none: not judged yet
  model::Outcome to = model::Outcome::kAllow;
  std::uint64_t sightings = 0;
  std::vector<SimulatedChange> first;  // some of them; none where they stay
};

// How many models a rule, or a step without one, decides.
struct SimulatedRule {
  std::string rule;
  std::uint64_t now = 0;
  std::uint64_t then = 0;
};

struct Simulation {
  std::uint64_t sightings = 0;  // that were judged
  std::uint64_t changed = 0;    // of these, those whose outcome would be another
  std::uint64_t endpoints_changed = 0;
  std::vector<SimulatedTransition> transitions;  // those that occur, by `from` and `to`
  std::vector<SimulatedRule> rules;              // those that decide something, by name
  store::FleetCoverage coverage;
};

// Judges everything that is present by the rules and lists of the parts, with the exceptions that
// are published, as endpoints would at `now`: by the same engine. A part without content is one
// that the store has. At most `samples` changes are shown of each transition.
//
// Takes seconds for a million models, on the thread that owns `queries`; `may_go_on` is asked now
// and then, and its error ends it and comes back. INVALID_ARGUMENT: a part
// can't be read or is there twice, or there is none with rules; NOT_FOUND: a part without content
// is not stored.
base::Result<Simulation> Simulate(store::Queries& queries, std::vector<store::BundlePart> parts,
                                  std::size_t samples, base::WallTime now,
                                  const std::function<base::Status()>& may_go_on);

}  // namespace weighmaster::server::rollout
