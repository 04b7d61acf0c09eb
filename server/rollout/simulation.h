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
#include "policy/model/settings.h"
#include "policy/model/verdict.h"
#include "server/store/store.h"

namespace weighmaster::server::rollout {

// What endpoints would say if a policy came into force on all of them, and how that differs from
// what they say now.

// A model of which the verdict, or what comes with it, would be another.
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

// All models that are judged now and go from one mode, or severity, to another.
template <typename Part>
struct SimulatedShift {
  Part from = {};
  Part to = {};
  std::uint64_t sightings = 0;
  std::vector<SimulatedChange> first;  // some of them
};

// How many models a rule, or a step without one, decides.
struct SimulatedRule {
  std::string rule;
  std::uint64_t now = 0;
  std::uint64_t then = 0;
};

// How many models an audit rule would decide, were it none: those whose verdict names it. A verdict
// names at most limits::kMaxAuditsInVerdict.
struct SimulatedAudit {
  std::string rule;
  std::uint64_t sightings = 0;
};

// A field that is judged by and that the policy in force withholds from the server on some
// endpoints: what would be decided by it there can't be told.
struct SimulatedWithheld {
  model::Withheld field = model::Withheld::kOwner;
  std::uint64_t endpoints = 0;
};

struct Simulation {
  std::uint64_t sightings = 0;  // that were judged
  std::uint64_t changed = 0;    // of these, those whose outcome would be another
  // Of those that are judged now, however their outcome changes.
  std::uint64_t changed_mode = 0;
  std::uint64_t changed_severity = 0;
  std::uint64_t endpoints_changed = 0;           // where any of the three changes
  std::vector<SimulatedTransition> transitions;  // those that occur, by `from` and `to`
  std::vector<SimulatedShift<model::Mode>> modes;
  std::vector<SimulatedShift<model::Severity>> severities;
  std::vector<SimulatedRule> rules;    // those that decide something, by name
  std::vector<SimulatedAudit> audits;  // all of the policy, in its order
  std::vector<SimulatedWithheld> withheld;
  store::FleetCoverage coverage;
};

// Judges everything that is present in the scope by the rules and lists of the parts, with the
// exceptions that are published, as endpoints would at `now`: by the same engine. A part without
// content is one that the store has. At most `samples` changes are shown of each transition and
// shift.
//
// Takes seconds for a million models, on the thread that owns `queries`; `may_go_on` is asked now
// and then, and its error ends it and comes back. INVALID_ARGUMENT: a part
// can't be read or is there twice, or there is none with rules; NOT_FOUND: a part without content
// is not stored.
base::Result<Simulation> Simulate(store::Queries& queries, const store::Scope& scope,
                                  std::vector<store::BundlePart> parts, std::size_t samples,
                                  base::WallTime now,
                                  const std::function<base::Status()>& may_go_on);

}  // namespace weighmaster::server::rollout
