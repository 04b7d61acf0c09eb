#include <csignal>
#include <cstdio>
#include <string>
#include <variant>

#include "server/app/options.h"
#include "server/app/server.h"
#include "third_party/asio/asio_loop.h"
#include "third_party/asio/signals.h"
#include "third_party/posix/file_limit.h"
#include "third_party/posix/system_clock.h"
#include "third_party/protobuf/log.h"
#include "third_party/spdlog/log.h"

namespace {

using namespace weighmaster;  // NOLINT(google-build-using-namespace): one small main

int Fail(const base::Error& error) {
  std::fprintf(stderr, "weighmaster-server: %s\n", error.message().c_str());
  return 1;
}

int Init(const server::app::InitOptions& options) {
  const posix::SystemClock clock;
  const auto made = server::app::InitDataFolder(options, clock);
  if (!made.has_value()) return Fail(made.error());
  std::printf(
      "Made a fleet in %s.\n"
      "Move %s/offline-keys away: whoever holds them makes policy. Then:\n"
      "  weighmaster-server serve --data %s\n"
      "  weighctl login --server %s --ca-file %s/ca.pem --token-file %s/admin.token\n",
      options.data_folder.c_str(), options.data_folder.c_str(), options.data_folder.c_str(),
      options.address.c_str(), options.data_folder.c_str(), options.data_folder.c_str());
  return 0;
}

int AdoptRoot(const server::app::AdoptRootOptions& options) {
  const posix::SystemClock clock;
  const auto version = server::app::AdoptRoot(options, clock);
  if (!version.has_value()) return Fail(version.error());
  std::printf(
      "Root %llu is the fleet's root of trust. Start the server: endpoints follow when they "
      "connect.\n"
      "Enrolment tokens made before name the root before; make new ones.\n",
      static_cast<unsigned long long>(*version));
  return 0;
}

int Serve(const server::app::ServeOptions& options) {
  if (const auto log = logging::SetUp(options.log); !log.has_value()) return Fail(log.error());
  posix::RaiseFileLimit();  // a connection is a file
  asio::AsioLoop loop;
  const posix::SystemClock clock;
  const asio::Signals signals(loop, asio::Signals::Termination(), [&loop](int) { loop.Stop(); });
  const auto server = server::app::Server::Open(loop, clock, options);
  if (!server.has_value()) return Fail(server.error());
  loop.Run();
  logging::Info("server", "stopping");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  protobuf_adapter::TakeOverLog();
  const server::app::Options options = server::app::ParseOptions({argv + 1, argv + argc});
  if (options.exit_code.has_value()) return *options.exit_code;
  if (const auto* const init = std::get_if<server::app::InitOptions>(&options.command)) {
    return Init(*init);
  }
  if (const auto* const adopt = std::get_if<server::app::AdoptRootOptions>(&options.command)) {
    return AdoptRoot(*adopt);
  }
  return Serve(std::get<server::app::ServeOptions>(options.command));
}
