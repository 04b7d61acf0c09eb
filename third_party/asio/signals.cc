#include "third_party/asio/signals.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <utility>

#include "policy/base/check.h"

namespace weighmaster::asio {

struct Signals::State {
  State(AsioLoop& loop, Callback the_callback)
      : set(loop.context()), callback(std::move(the_callback)) {}

  static void Wait(const std::shared_ptr<State>& state) {
    state->set.async_wait(
        [weak = std::weak_ptr<State>(state)](const boost::system::error_code& error, int signal) {
          const std::shared_ptr<State> alive = weak.lock();
          if (error || alive == nullptr || !alive->callback) return;
          // The callback may destroy the Signals that holds it.
          const Callback call = alive->callback;
          Wait(alive);
          call(signal);
        });
  }

  boost::asio::signal_set set;
  Callback callback;
};

Signals::Signals(AsioLoop& loop, const std::vector<int>& signals, Callback callback)
    : state_(std::make_shared<State>(loop, std::move(callback))) {
  WM_CHECK(loop.OnLoop());
  for (const int signal : signals) {
    boost::system::error_code error;
    state_->set.add(signal, error);
    WM_CHECK(!error);
  }
  State::Wait(state_);
}

Signals::~Signals() { state_->callback = nullptr; }

}  // namespace weighmaster::asio
