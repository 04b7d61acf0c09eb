#pragma once

#include <memory>
#include <utility>

#include "policy/engine/policy.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"

namespace weighmaster::agent::decide {

// Holds the one policy that sightings are judged by. Loop-owned; other threads get a copy of the
// pointer. Before any policy was applied everything is allowed, and the reason says so.
class Judge {
 public:
  const std::shared_ptr<const engine::Policy>& policy() const { return policy_; }
  void Set(std::shared_ptr<const engine::Policy> policy) { policy_ = std::move(policy); }

  model::Verdict Of(const model::Sighting& sighting) const { return policy_->Judge(sighting); }

 private:
  std::shared_ptr<const engine::Policy> policy_ = engine::Policy::None();
};

}  // namespace weighmaster::agent::decide
