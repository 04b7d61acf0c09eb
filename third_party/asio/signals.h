#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <vector>

#include "third_party/asio/asio_loop.h"

namespace weighmaster::asio {

// Turns signals of the process into calls on the loop for as long as it lives; afterwards they have
// their default effect again. Loop-owned; the loop must outlive it. One object per signal in a
// process.
class Signals {
 public:
  using Callback = std::function<void(int signal)>;

  Signals(AsioLoop& loop, const std::vector<int>& signals, Callback callback);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // What a service manager or a person at a terminal sends to end a program.
  static std::vector<int> Termination() { return {SIGTERM, SIGINT}; }

 private:
  struct State;
  // Shared with the one handler that Asio holds, which may run after this object is gone.
  std::shared_ptr<State> state_;
};

}  // namespace weighmaster::asio
