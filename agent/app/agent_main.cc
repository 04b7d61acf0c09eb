#include <csignal>
#include <cstdio>
#include <string>

#include "agent/app/agent.h"
#include "agent/app/enrolling.h"
#include "agent/app/options.h"
#include "third_party/asio/asio_loop.h"
#include "third_party/asio/signals.h"
#include "third_party/posix/system_clock.h"
#include "third_party/protobuf/log.h"
#include "third_party/spdlog/log.h"

namespace {

using namespace weighmaster;  // NOLINT(google-build-using-namespace): one small main

int Fail(const base::Error& error) {
  std::fprintf(stderr, "weighmaster-agent: %s\n", error.message().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  protobuf_adapter::TakeOverLog();
  const auto options = agent::app::ParseOptions({argv + 1, argv + argc});
  if (options.exit_code.has_value()) return *options.exit_code;
  auto settings = agent::app::LoadSettings(options.settings_path);
  if (!settings.has_value()) return Fail(settings.error());
  if (const auto log = logging::SetUp(settings->log); !log.has_value()) return Fail(log.error());
  if (options.check_only) return 0;

  agent::app::TokenSource token{options.token_file.value_or(settings->enrolment_token_file), ""};
  if (const auto read = token.ReadStandardInput(); !read.has_value()) return Fail(read.error());

  asio::AsioLoop loop;
  const posix::SystemClock clock;
  const asio::Signals signals(loop, asio::Signals::Termination(), [&loop](int) { loop.Stop(); });
  const auto agent = agent::app::Agent::Open(loop, clock, std::move(*settings), std::move(token));
  if (!agent.has_value()) return Fail(agent.error());
  if (const auto started = (*agent)->Start(); !started.has_value()) return Fail(started.error());
  loop.Run();
  logging::Info("agent", "stopping");
  return 0;
}
