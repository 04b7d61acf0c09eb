#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/sync/grpc/connector.h"
#include "tests/bench/bench.h"
#include "tests/bench/fleet_trust.h"
#include "third_party/asio/asio_loop.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/posix/system_clock.h"
#include "weighmaster/v1/sync.grpc.pb.h"

namespace weighmaster::bench {
namespace {

// A stream with nothing behind it: one frame to say that it is open, then it reads and throws away.
class BareStream final : public grpc::ServerBidiReactor<v1::AgentFrame, v1::ServerFrame> {
 public:
  BareStream() {
    greeting_.mutable_challenge();
    StartWrite(&greeting_);
    StartRead(&incoming_);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      StartRead(&incoming_);
    } else {
      Finish(grpc::Status::OK);
    }
  }
  void OnDone() override { delete this; }

 private:
  v1::ServerFrame greeting_;
  v1::AgentFrame incoming_;
};

class BareService final : public v1::AgentService::CallbackService {
 public:
  grpc::ServerBidiReactor<v1::AgentFrame, v1::ServerFrame>* Sync(
      grpc::CallbackServerContext* /*context*/) override {
    return new BareStream();
  }
};

// The agent's end, as the product opens it, with nothing behind it either.
class OpenStream final : public wire::AgentListener {
 public:
  OpenStream(agent::sync::GrpcConnector& connector, std::size_t& open)
      : open_(open), channel_(connector.Connect(*this)) {}

  void OnFrame(const v1::ServerFrame& /*frame*/) override { ++open_; }
  void OnClosed(const base::Error& why) override { Stop(why); }

 private:
  std::size_t& open_;
  const std::unique_ptr<wire::AgentChannel> channel_;
};

}  // namespace

int BareServer(const Arguments& arguments) {
  const FleetTrust trust(arguments[0]);
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = trust.files().ca_pem;
  tls.pem_key_cert_pairs.push_back(
      {trust.files().tls_key_pem, trust.files().tls_pem + trust.files().ca_pem});
  BareService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) Stop(base::Unavailable("the bare server can't listen"));
  std::printf("{\"port\": %d}\n", port);
  std::fflush(stdout);
  server->Wait();
  return 0;
}

int Streams(const Arguments& arguments) {
  const FleetTrust trust(arguments[0]);
  const auto count = static_cast<std::size_t>(std::stoi(arguments[2]));
  asio::AsioLoop loop;
  const posix::SystemClock clock;
  asio::ThreadPool network(2, "network");
  std::size_t open = 0;
  std::vector<std::unique_ptr<agent::sync::GrpcConnector>> connectors;
  std::vector<std::unique_ptr<OpenStream>> streams;
  for (std::size_t n = 0; n < count; ++n) {
    connectors.push_back(std::make_unique<agent::sync::GrpcConnector>(
        loop, network, clock,
        [options = trust.OptionsFor(static_cast<int>(n), arguments[1])] { return options; }));
    streams.push_back(std::make_unique<OpenStream>(*connectors.back(), open));
  }
  base::Timer timer(loop);
  bool said = false;
  const std::function<void()> look = [&] {
    if (open == count && !said) {
      said = true;
      std::printf("{\"connected\": %zu}\n", count);
      std::fflush(stdout);
    }
    timer.Start(std::chrono::milliseconds(20), look);
  };
  look();
  loop.Run();
  return 0;
}

}  // namespace weighmaster::bench
