#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "server/rest/gateway.h"
#include "server/rest/server.h"
#include "server/rpc/calls.h"
#include "server/rpc/server.h"
#include "tests/integration/served_api.h"
#include "third_party/asio/asio_loop.h"

namespace weighmaster::tests {

// A server's rooms behind its gRPC port and its REST port.
class BothPorts {
 public:
  BothPorts() {
    rpc_ = Must(
        server::rpc::Server::Start({"127.0.0.1:0", api_.tls_pem_, api_.tls_key_pem_, api_.ca_pem_},
                                   loop_, clock_, *agents_, &*api_.dispatch_));
    server::rest::Server::Options options;
    options.address = "127.0.0.1:0";
    options.certificate_pem = api_.tls_pem_;
    options.private_key_pem = api_.tls_key_pem_;
    options.ca_pem = api_.ca_pem_;
    rest_ = Must(server::rest::Server::Start(loop_, clock_, gateway_, options));
  }
  ~BothPorts() {
    rest_.reset();
    rpc_->Stop();
  }
  BothPorts(const BothPorts&) = delete;
  BothPorts& operator=(const BothPorts&) = delete;

  std::string rpc_address() const { return "127.0.0.1:" + std::to_string(rpc_->port()); }

  // Clients block, so they run beside the loop.
  void Beside(const std::function<void()>& client) {
    std::thread thread([&] {
      client();
      loop_.Post([&] { loop_.Stop(); });
    });
    loop_.Run();
    thread.join();
  }

  asio::AsioLoop loop_;
  SystemClock clock_;
  ServedApi api_{loop_};
  const std::unique_ptr<server::rpc::AgentCalls> agents_ =
      server::rpc::MakeAgentCalls(*api_.authority_, *api_.fleet_);
  server::rest::Gateway gateway_{loop_,
                                 clock_,
                                 api_.pool_,
                                 *api_.dispatch_,
                                 [] { return true; },
                                 [] { return server::rest::StrangerCounts(); }};
  std::unique_ptr<server::rpc::Server> rpc_;
  std::unique_ptr<server::rest::Server> rest_;
};

}  // namespace weighmaster::tests
