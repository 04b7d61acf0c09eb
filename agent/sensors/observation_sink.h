#pragma once

#include <stop_token>
#include <vector>

#include "agent/sensors/observation.h"

namespace weighmaster::agent::sensors {

// Where a sensor's observations go, in batches of at most limits::kMaxObservationsPerBatch and in
// the order in which they were made. Called from sensor threads, one at a time per sensor. Deliver
// may block while the receiver is behind; it returns at once, dropping the batch, when `stop` is
// requested.
class ObservationSink {
 public:
  virtual ~ObservationSink() = default;
  virtual void Deliver(std::vector<Observation> batch, std::stop_token stop) = 0;
};

}  // namespace weighmaster::agent::sensors
