#pragma once

#include <algorithm>
#include <chrono>

#include "policy/base/limits.h"
#include "policy/base/random.h"
#include "policy/base/time.h"

namespace weighmaster::wire {

// How long to wait before the next attempt: a bound that doubles from limits::kFirstRetryDelay to
// limits::kLastRetryDelay, and a uniform choice below it (full jitter), so that a fleet whose
// server comes back does not return as one. A value; `random` must outlive it.
class Backoff {
 public:
  explicit Backoff(base::Random& random) : random_(&random) {}

  base::Duration Next() {
    const auto choices = static_cast<std::uint64_t>(bound_.count()) + 1;
    const base::Duration delay(static_cast<base::Duration::rep>(random_->Below(choices)));
    bound_ = std::min(bound_ * 2, base::Duration(base::limits::kLastRetryDelay));
    return delay;
  }

  // After an attempt that succeeded.
  void Reset() { bound_ = base::limits::kFirstRetryDelay; }

 private:
  base::Random* random_;
  base::Duration bound_ = base::limits::kFirstRetryDelay;
};

}  // namespace weighmaster::wire
