#pragma once

#include <memory>

#include "policy/base/loop.h"

namespace boost::asio {
class io_context;
}

namespace weighmaster::asio {

// The programs' loop: Boost.Asio's io_context behind base::Loop. Its thread is the one that made it
// and, from then on, the last one that called Run(), so that a program may build its objects before
// Run() and take them down after it. Timers follow the steady clock, which stands still while the
// machine is suspended. Tasks do not throw; one that does ends Run() and so the program.
//
// What is still posted or armed when the loop goes is destroyed and never run. Objects that hold
// timers of the loop must go before it.
class AsioLoop final : public base::Loop {
 public:
  AsioLoop();
  ~AsioLoop() override;
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;

  // Runs tasks until Stop(). It may be called again afterwards and goes on with what was left.
  void Run();

  // Ends Run() after the task that is running now; where no Run() is under way, the next one ends
  // at once. Any thread may call it, but not a signal handler: see Signals.
  void Stop();

  void Post(Task task) override;
  TimerId After(base::Duration delay, Task task) override;
  void Cancel(TimerId id) override;
  bool OnLoop() const override;

  // For adapters that put sockets of their own on this loop. Their sockets go before it.
  boost::asio::io_context& context();

 private:
  struct Parts;
  const std::unique_ptr<Parts> parts_;
};

}  // namespace weighmaster::asio
