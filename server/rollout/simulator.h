#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "policy/base/loop.h"
#include "server/rollout/simulation.h"

namespace weighmaster::server::rollout {

// Simulates beside everything else: on an executor of one thread and a reader of the store that
// nobody else uses, because one simulation takes seconds. One that takes longer than
// limits::kMaxSimulationTime is FAILED_PRECONDITION, and the one under way ends with this object.
// Loop-owned; replies come on the loop. Everything passed in must outlive it; the clock is asked on
// the executor as well.
class Simulator {
 public:
  using Reply = std::function<void(base::Result<Simulation>)>;

  Simulator(base::Loop& loop, const base::Clock& clock, base::Executor& executor,
            store::Queries& queries)
      : loop_(loop), clock_(clock), executor_(executor), queries_(queries) {}
  ~Simulator() = default;
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  // See rollout::Simulate.
  void Simulate(const store::Scope& scope, std::vector<store::BundlePart> parts,
                std::size_t samples, Reply reply);

 private:
  base::Loop& loop_;
  const base::Clock& clock_;
  base::Executor& executor_;
  store::Queries& queries_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();
};

}  // namespace weighmaster::server::rollout
