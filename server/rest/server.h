#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "policy/base/limits.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "third_party/asio/asio_loop.h"

namespace weighmaster::server::rest {

class Gateway;

// HTTP/1.1 over TLS 1.2 or newer, on a port of its own, in front of a Gateway. Whoever connects
// costs at most a connection and a header until the Gateway knows who it is; every step has a time
// limit, past which the connection is cut (limits::kRest…). Who is not known is answered, but only
// so often from one address, and after a token that is not good the connection is closed.
//
// Loop-owned; loop, clock and gateway must outlive it. Going out of scope cuts all connections.
class Server {
 public:
  struct Options {
    std::string address;          // "host:port", the host an IP address; port 0 chooses one
    std::string certificate_pem;  // of the server; ca_pem is sent after it
    std::string private_key_pem;
    std::string ca_pem;
    std::size_t max_connections = base::limits::kMaxRestConnections;
    std::size_t max_connections_of_address = base::limits::kMaxRestConnectionsOfAddress;
    base::Duration handshake_timeout = base::limits::kRestHandshakeTimeout;
    base::Duration header_timeout = base::limits::kRestHeaderTimeout;
    base::Duration body_timeout = base::limits::kRestBodyTimeout;
    base::Duration write_timeout = base::limits::kRestWriteTimeout;
    base::Duration linger_time = base::limits::kRestLingerTime;
  };

  // Listens at once. Another server on the port is an error, with the system's reason.
  static base::Result<std::unique_ptr<Server>> Start(asio::AsioLoop& loop, const base::Clock& clock,
                                                     Gateway& gateway, const Options& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;

  struct Counts {
    std::uint64_t answered = 0;
    std::uint64_t refused = 0;    // connections past a limit
    std::uint64_t timed_out = 0;  // connections that were too slow
    std::size_t open = 0;
  };
  Counts counts() const;

 private:
  class State;
  explicit Server(std::shared_ptr<State> state);

  // Shared with the handlers that Asio holds, which may run after this object is gone.
  std::shared_ptr<State> state_;
};

}  // namespace weighmaster::server::rest
