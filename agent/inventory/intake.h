#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "agent/inventory/inventory.h"
#include "agent/sensors/observation_sink.h"
#include "policy/base/error.h"
#include "policy/base/loop.h"

namespace weighmaster::agent::inventory {

// Brings observations from the sensors' threads to the inventory on the loop, in order, a delivery
// a turn. A delivery whose transaction fails (a full disk) stays first and is tried again every
// limits::kStorageRetryDelay until it succeeds, so nothing that a sensor saw is lost; meanwhile the
// sensors wait at limits::kMaxObservationBatchesInFlight.
//
// Made and destroyed on the loop, which with the inventory must outlive it; stop the sensors first.
class Intake final : public sensors::ObservationSink {
 public:
  Intake(base::Loop& loop, Inventory& inventory);
  ~Intake() override = default;
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;

  // Any thread but the loop's, except in a simulation that knows that there is room.
  void Deliver(std::vector<sensors::Observation> batch, std::stop_token stop) override;

  // While deliveries can't be stored: why. On the loop.
  const std::optional<base::Error>& last_error() const { return last_error_; }

 private:
  void Drain();

  // Constant after construction.
  base::Loop& loop_;
  Inventory& inventory_;
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);

  // Owned by the loop.
  base::Timer retry_;
  std::optional<base::Error> last_error_;

  // Guarded by mutex_: sensors push, the loop takes away.
  std::mutex mutex_;
  std::condition_variable_any room_;
  std::deque<std::vector<sensors::Observation>> deliveries_;
  bool draining_ = false;  // a Drain() is posted or its timer runs
};

}  // namespace weighmaster::agent::inventory
