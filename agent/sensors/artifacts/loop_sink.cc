#include "agent/sensors/artifacts/loop_sink.h"

#include <utility>

#include "policy/base/limits.h"

namespace weighmaster::agent::sensors {

LoopSink::LoopSink(base::Loop& loop, Take take) : loop_(loop), shared_(std::make_shared<Shared>()) {
  shared_->take = std::move(take);
}

LoopSink::~LoopSink() { shared_->take = nullptr; }

void LoopSink::Deliver(std::vector<Observation> batch, std::stop_token stop) {
  {
    std::unique_lock lock(shared_->mutex);
    const bool room = shared_->taken.wait(lock, stop, [this] {
      return shared_->in_flight < base::limits::kMaxObservationBatchesInFlight;
    });
    if (!room) return;
    ++shared_->in_flight;
  }
  // A std::function must be copyable, so the batch travels behind a pointer.
  auto content = std::make_shared<std::vector<Observation>>(std::move(batch));
  loop_.Post([shared = shared_, content = std::move(content)] {
    if (shared->take) shared->take(std::move(*content));
    const std::lock_guard lock(shared->mutex);
    --shared->in_flight;
    shared->taken.notify_one();
  });
}

}  // namespace weighmaster::agent::sensors
