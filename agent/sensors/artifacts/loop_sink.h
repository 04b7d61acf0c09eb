#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "agent/sensors/observation_sink.h"
#include "policy/base/loop.h"

namespace weighmaster::agent::sensors {

// Hands deliveries over to the loop, and lets the sensor wait while
// limits::kMaxObservationBatchesInFlight of them have not been taken. Deliver is for sensor
// threads; `take` runs on the loop. Destroyed on the loop's thread; what is still posted then is
// dropped.
class LoopSink final : public ObservationSink {
 public:
  using Take = std::function<void(std::vector<Observation>)>;
  LoopSink(base::Loop& loop, Take take);
  ~LoopSink() override;

  void Deliver(std::vector<Observation> batch, std::stop_token stop) override;

 private:
  struct Shared {
    Take take;  // the loop's; empty once the sink is gone
    std::mutex mutex;
    std::condition_variable_any taken;
    std::size_t in_flight = 0;  // guarded by mutex
  };

  base::Loop& loop_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace weighmaster::agent::sensors
