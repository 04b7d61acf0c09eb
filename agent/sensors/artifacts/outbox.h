#pragma once

#include <chrono>
#include <mutex>
#include <stop_token>
#include <vector>

#include "agent/sensors/observation_sink.h"
#include "policy/base/time.h"

namespace weighmaster::agent::sensors {

// Gathers what the sensor's threads saw into deliveries. Any thread may call it; `mutex_` keeps
// deliveries in order and one at a time, so a receiver that is behind holds up every thread of the
// sensor: that is the back-pressure. Sink and clock must outlive it.
class Outbox {
 public:
  Outbox(ObservationSink& sink, const base::Clock& clock, std::stop_token stop)
      : sink_(sink), clock_(clock), stop_(std::move(stop)) {}

  // Delivered when the batch is full or its first observation is a second old.
  void Add(Observation observation);
  void Flush();

 private:
  void DeliverLocked();

  ObservationSink& sink_;
  const base::Clock& clock_;
  const std::stop_token stop_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Observation> batch_;
  base::BootTime first_at_;
};

}  // namespace weighmaster::agent::sensors
