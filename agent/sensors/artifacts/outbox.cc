#include "agent/sensors/artifacts/outbox.h"

#include <utility>

#include "policy/base/limits.h"

namespace weighmaster::agent::sensors {
namespace {

constexpr std::chrono::seconds kMaxAge{1};

}  // namespace

void Outbox::Add(Observation observation) {
  const base::BootTime now = clock_.SinceBoot();
  const std::lock_guard lock(mutex_);
  if (batch_.empty()) first_at_ = now;
  batch_.push_back(std::move(observation));
  if (batch_.size() >= base::limits::kMaxObservationsPerBatch ||
      now.since_boot - first_at_.since_boot >= kMaxAge) {
    DeliverLocked();
  }
}

void Outbox::Flush() {
  const std::lock_guard lock(mutex_);
  if (!batch_.empty()) DeliverLocked();
}

void Outbox::DeliverLocked() { sink_.Deliver(std::exchange(batch_, {}), stop_); }

}  // namespace weighmaster::agent::sensors
