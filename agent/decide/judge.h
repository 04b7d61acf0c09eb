#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "policy/base/time.h"
#include "policy/engine/policy.h"
#include "policy/model/exception.h"
#include "policy/model/sighting.h"
#include "policy/model/verdict.h"

namespace weighmaster::agent::decide {

// Holds the one policy that sightings are judged by, and the time that it is judged at. Loop-owned;
// other threads get a copy of the pointer. Before any policy was applied everything is allowed, and
// the reason says so.
class Judge {
 public:
  // The clock must outlive it.
  explicit Judge(const base::Clock& clock) : clock_(clock) {}

  const std::shared_ptr<const engine::Policy>& policy() const { return policy_; }
  void Set(std::shared_ptr<const engine::Policy> policy) { policy_ = std::move(policy); }

  model::Verdict Of(const model::Sighting& sighting) const {
    return policy_->Judge(sighting, Now());
  }

  // Those in force that are for this file.
  std::vector<model::Exception> ExceptionsFor(const model::Sighting& sighting) const {
    return policy_->ExceptionsFor(sighting, Now());
  }

  // What expires does so by the later of this machine's clock and the latest time that a trusted
  // key has signed, with what went by since: setting the clock back prolongs nothing.
  base::WallTime Now() const;
  void NoteVerifiedTime(base::WallTime time);

 private:
  const base::Clock& clock_;
  std::shared_ptr<const engine::Policy> policy_ = engine::Policy::None();
  base::WallTime verified_time_;
  base::BootTime verified_at_;
};

}  // namespace weighmaster::agent::decide
