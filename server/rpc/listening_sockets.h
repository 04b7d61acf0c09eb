#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/result.h"

namespace weighmaster::server::rpc {

// Owns one open socket and closes it; -1 is none.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket();
  Socket(Socket&& other) noexcept : fd_(other.Release()) {}
  Socket& operator=(Socket&&) = delete;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct ListeningSockets {
  std::vector<Socket> sockets;  // one for each address that the name has
  std::uint16_t port = 0;
};

// Listens on "host:port"; port 0 chooses one. 0.0.0.0 and [::] are every address of the machine,
// of both families where it has both. A port that is in use is ALREADY_EXISTS; other errors have
// the system's reason.
base::Result<ListeningSockets> ListenOn(const std::string& address);

}  // namespace weighmaster::server::rpc
