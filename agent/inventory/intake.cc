#include "agent/inventory/intake.h"

#include <utility>

#include "policy/base/limits.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::agent::inventory {

Intake::Intake(base::Loop& loop, Inventory& inventory)
    : loop_(loop), inventory_(inventory), retry_(loop) {}

void Intake::Deliver(std::vector<sensors::Observation> batch, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const bool has_room = room_.wait(lock, stop, [this] {
    return deliveries_.size() < base::limits::kMaxObservationBatchesInFlight;
  });
  if (!has_room || stop.stop_requested()) return;
  deliveries_.push_back(std::move(batch));
  if (std::exchange(draining_, true)) return;
  loop_.Post([this, alive = std::weak_ptr<const bool>(alive_)] {
    if (!alive.expired()) Drain();
  });
}

void Intake::Drain() {
  const std::vector<sensors::Observation>* first = nullptr;
  {
    const std::lock_guard lock(mutex_);
    first = &deliveries_.front();  // stays where it is: only this function takes it away
  }
  if (auto applied = inventory_.Apply(*first); !applied.has_value()) {
    if (!last_error_.has_value()) {
      logging::Error("inventory",
                     applied.error().message() + "; what was found waits until it can be written");
    }
    last_error_ = std::move(applied).error();
    retry_.Start(base::limits::kStorageRetryDelay, [this] { Drain(); });
    return;
  }
  if (last_error_.has_value()) logging::Info("inventory", "it can be written again");
  last_error_.reset();
  {
    const std::lock_guard lock(mutex_);
    deliveries_.pop_front();
    draining_ = !deliveries_.empty();
    if (draining_) retry_.Start(base::Duration(0), [this] { Drain(); });
  }
  room_.notify_one();
}

}  // namespace weighmaster::agent::inventory
