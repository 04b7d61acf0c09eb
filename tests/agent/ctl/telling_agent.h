#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "agent/control/answerer.h"
#include "agent/control/server.h"
#include "policy/base/check.h"
#include "tests/support/temp_folder.h"
#include "third_party/asio/asio_loop.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::tests {

// An agent that tells whoever asks through its socket what the test put in. It answers on a thread
// of its own, as the commands block.
class TellingAgent final : public agent::control::Answerer {
 public:
  explicit TellingAgent(local::v1::StatusAnswer status)
      : TellingAgent(std::move(status), local::v1::WhyAnswer()) {}
  // The same of every path.
  explicit TellingAgent(local::v1::WhyAnswer why)
      : TellingAgent(local::v1::StatusAnswer(), std::move(why)) {}
  ~TellingAgent() override {
    OnLoop([this] { server_.reset(); });
    loop_.Stop();
    runner_.join();
  }
  TellingAgent(const TellingAgent&) = delete;
  TellingAgent& operator=(const TellingAgent&) = delete;

  std::string socket() const { return folder_ / "agent.sock"; }

  base::Status Status(local::v1::StatusAnswer& answer) override {
    answer = status_;
    return {};
  }
  base::Status Why(const model::Path&, local::v1::WhyAnswer& answer) override {
    answer = why_;
    return {};
  }

 private:
  TellingAgent(local::v1::StatusAnswer status, local::v1::WhyAnswer why)
      : status_(std::move(status)), why_(std::move(why)) {
    agent::control::ServerOptions options;
    options.socket_path = socket();
    OnLoop([&] {
      auto server = agent::control::Server::Listen(loop_, *this, options);
      WM_CHECK(server.has_value());
      server_ = std::move(*server);
    });
  }
  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  const local::v1::StatusAnswer status_;
  const local::v1::WhyAnswer why_;
  const TempFolder folder_;
  asio::AsioLoop loop_;
  std::unique_ptr<agent::control::Server> server_;
  std::thread runner_{[this] { loop_.Run(); }};
};

}  // namespace weighmaster::tests
