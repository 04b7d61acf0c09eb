#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "policy/base/loop.h"
#include "policy/base/time.h"

namespace weighmaster::tests {

// A loop that the test's own thread runs, in real time, for tests with sockets and threads: what
// the loop owns is then the test's to look at. Made and run on one thread; Post from any.
class LiveLoop final : public base::Loop {
 public:
  LiveLoop() = default;
  ~LiveLoop() override = default;
  LiveLoop(const LiveLoop&) = delete;
  LiveLoop& operator=(const LiveLoop&) = delete;

  void Post(Task task) override;
  TimerId After(base::Duration delay, Task task) override;
  void Cancel(TimerId id) override;
  bool OnLoop() const override { return std::this_thread::get_id() == thread_; }

  // Runs tasks until `done` holds or `limit` has passed; what `done` says at the end.
  bool RunUntil(const std::function<bool()>& done,
                std::chrono::milliseconds limit = std::chrono::seconds(20));
  // For the timers so much time has passed at once.
  void Skip(base::Duration time) { skipped_ += time; }

 private:
  using Instant = std::chrono::steady_clock::time_point;

  // As timers see it.
  Instant Now() const { return std::chrono::steady_clock::now() + skipped_; }
  // A task that is due, or none; waits for one until then.
  Task NextTask(Instant until);

  const std::thread::id thread_ = std::this_thread::get_id();
  std::mutex mutex_;  // between the test's thread and those that post
  std::condition_variable posted_;
  std::deque<Task> tasks_;
  // The loop's own.
  base::Duration skipped_{0};
  std::map<std::pair<Instant, TimerId>, Task> timers_;
  std::map<TimerId, Instant> due_;
  TimerId next_id_ = 1;
};

// A thread for every task of it, joined at the end: what is submitted always runs.
class ThreadExecutor final : public base::Executor {
 public:
  ThreadExecutor() = default;
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  void Submit(base::Loop::Task task) override;

 private:
  std::mutex mutex_;
  std::deque<std::thread> threads_;
};

// The machine's clocks.
class SystemClock final : public base::Clock {
 public:
  base::WallTime Now() const override;
  base::BootTime SinceBoot() const override;
};

}  // namespace weighmaster::tests
