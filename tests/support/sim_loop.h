#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "policy/base/loop.h"
#include "policy/base/time.h"

namespace weighmaster::tests {

// A loop and its clock in one: time stands still while tasks run and jumps to the next timer when
// there is nothing left to do now. Tasks run in the order of their time and, within one moment, of
// their posting, so a run depends on nothing but what it is given. One thread only, the one that
// made it.
class SimLoop final : public base::Loop, public base::Clock {
 public:
  SimLoop() = default;
  ~SimLoop() override = default;
  SimLoop(const SimLoop&) = delete;
  SimLoop& operator=(const SimLoop&) = delete;

  void Post(Task task) override;
  TimerId After(base::Duration delay, Task task) override;
  void Cancel(TimerId id) override;
  bool OnLoop() const override { return true; }

  base::WallTime Now() const override { return wall_at_boot_ + since_boot_; }
  base::BootTime SinceBoot() const override { return {since_boot_}; }

  // Runs tasks until `done` holds or `limit` of virtual time has passed; what `done` says at the
  // end. It is asked before the first task and after each one.
  bool RunUntil(const std::function<bool()>& done, base::Duration limit);
  // Everything that is due within this time; the clock stands at its end afterwards.
  void RunFor(base::Duration time);
  // What can run without time passing.
  void RunReady() { RunFor(base::Duration(0)); }

  // A person or NTP sets the clock; timers do not notice.
  void StepWallClock(base::Duration by) { wall_at_boot_ += by; }

 private:
  using Key = std::pair<base::Duration, TimerId>;

  // The earliest task, if it is due by `until`.
  bool RunOne(base::Duration until);

  base::WallTime wall_at_boot_ =
      base::WallTimeFromMicroseconds(1'772'366'400'000'000);  // 2026-03-01
  base::Duration since_boot_ = std::chrono::hours(1);
  TimerId next_id_ = 1;
  std::map<Key, Task> tasks_;
  std::unordered_map<TimerId, base::Duration> due_;
  std::uint64_t run_in_this_moment_ = 0;
};

// An executor whose work happens on the loop itself, after what is already posted there.
class SimExecutor final : public base::Executor {
 public:
  explicit SimExecutor(SimLoop& loop) : loop_(loop) {}
  void Submit(base::Loop::Task task) override { loop_.Post(std::move(task)); }

 private:
  SimLoop& loop_;
};

}  // namespace weighmaster::tests
