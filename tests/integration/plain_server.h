#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace weighmaster::tests {

// A TCP server on a free port of the loopback that says `greeting` to everyone and then nothing; it
// knows no TLS. On its own thread until it is destroyed.
class PlainServer {
 public:
  explicit PlainServer(std::string greeting);
  ~PlainServer();
  PlainServer(const PlainServer&) = delete;
  PlainServer& operator=(const PlainServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // How many have connected so far.
  int connections() const { return connections_; }

 private:
  void Serve();

  const std::string greeting_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::vector<int> open_;  // the thread's, then the destructor's
  std::thread thread_;
};

}  // namespace weighmaster::tests
