#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "policy/base/loop.h"
#include "policy/base/random.h"

namespace weighmaster::sim {

// Blocking work on the simulated loop: each task is a turn of its own, some milliseconds after the
// one before it, in the order of submission. A process that dies takes its executor along, and with
// it every task that has not begun: that is how a crash falls between a commit and what follows it.
class ProcessExecutor final : public base::Executor {
 public:
  ProcessExecutor(base::Loop& loop, const base::Clock& clock, base::Random& random)
      : loop_(loop), clock_(clock), random_(random) {}

  void Submit(base::Loop::Task task) override {
    const base::Duration now = clock_.SinceBoot().since_boot;
    last_ = std::max(last_, now) +
            base::Duration(500 + static_cast<std::int64_t>(random_.Below(4'000)));
    loop_.After(last_ - now, [alive = std::weak_ptr<const bool>(alive_), task = std::move(task)] {
      if (!alive.expired()) task();
    });
  }

 private:
  base::Loop& loop_;
  const base::Clock& clock_;
  base::Random& random_;
  base::Duration last_{0};  // when the newest task runs
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace weighmaster::sim
