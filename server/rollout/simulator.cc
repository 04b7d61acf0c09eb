#include "server/rollout/simulator.h"

#include <string>
#include <utility>

#include "policy/base/limits.h"
#include "server/store/ask.h"

namespace weighmaster::server::rollout {
namespace {

base::Status InTime(base::Duration taken) {
  if (taken < base::limits::kMaxSimulationTime) return {};
  return base::FailedPrecondition("to judge the inventory by this policy takes more than " +
                                  std::to_string(base::limits::kMaxSimulationTime.count()) +
                                  " s; try it with fewer rules, or with simpler conditions");
}

}  // namespace

void Simulator::Simulate(const store::Scope& scope, std::vector<store::BundlePart> parts,
                         std::size_t samples, Reply reply) {
  store::Ask(
      executor_, loop_, alive_,
      [&queries = queries_, &clock = clock_, alive = std::weak_ptr<const void>(alive_), scope,
       parts = std::move(parts), samples]() mutable {
        const base::Duration begun = clock.SinceBoot().since_boot;
        return rollout::Simulate(queries, scope, std::move(parts), samples, clock.Now(), [&] {
          if (alive.expired()) return base::Status(base::Unavailable("the server is stopping"));
          return InTime(clock.SinceBoot().since_boot - begun);
        });
      },
      std::move(reply));
}

}  // namespace weighmaster::server::rollout
