#include "server/rollout/simulator.h"

#include <utility>

#include "server/store/ask.h"

namespace weighmaster::server::rollout {

void Simulator::Simulate(std::vector<store::BundlePart> parts, std::size_t samples, Reply reply) {
  store::Ask(
      executor_, loop_, alive_,
      [&queries = queries_, parts = std::move(parts), samples, now = clock_.Now()]() mutable {
        return rollout::Simulate(queries, std::move(parts), samples, now);
      },
      std::move(reply));
}

}  // namespace weighmaster::server::rollout
