#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "policy/base/time.h"

namespace weighmaster::base {

// The one thread that owns a program's state, and the only way to it. Timers and posting go through
// here so that a fleet of agents and its server run on one simulated loop. (Asio's own timers on a
// fake clock never fire on poll(); that is why the seam is ours.)
class Loop {
 public:
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;

  virtual ~Loop() = default;

  // Runs the task later on the loop's thread, in the order of posting. Any thread may call it.
  virtual void Post(Task task) = 0;

  // Runs the task on the loop's thread when `delay` has passed. On the loop's thread only.
  virtual TimerId After(Duration delay, Task task) = 0;

  // The task of a cancelled timer never runs, even when it was due already. An id that has fired is
  // ignored. On the loop's thread only.
  virtual void Cancel(TimerId id) = 0;

  // Whether the caller is on the loop's thread. Loop-owned objects assert it instead of locking.
  virtual bool OnLoop() const = 0;
};

// Owns at most one pending timer; going out of scope cancels it. Loop-owned; the loop must outlive
// it.
class Timer {
 public:
  explicit Timer(Loop& loop) : loop_(loop) {}
  ~Timer() { Stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Replaces whatever was pending.
  void Start(Duration delay, Loop::Task task) {
    Stop();
    armed_ = true;
    id_ = loop_.After(delay, [this, task = std::move(task)] {
      armed_ = false;
      task();
    });
  }

  void Stop() {
    if (armed_) loop_.Cancel(id_);
    armed_ = false;
  }

  bool armed() const { return armed_; }

 private:
  Loop& loop_;
  Loop::TimerId id_ = 0;
  bool armed_ = false;
};

// Where blocking work (hashing, databases, parsing) goes. A task runs on some other thread, or
// later on the same one in the simulation; it posts its own result back to a Loop. Tasks of one
// Executor may run side by side unless the executor was made with one thread.
class Executor {
 public:
  virtual ~Executor() = default;
  // Any thread may call it.
  virtual void Submit(Loop::Task task) = 0;
};

}  // namespace weighmaster::base
