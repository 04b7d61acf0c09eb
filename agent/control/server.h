#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/control/answerer.h"
#include "policy/base/limits.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "third_party/asio/asio_loop.h"

namespace weighmaster::agent::control {

struct ServerOptions {
  std::string socket_path;
  base::Duration timeout = base::limits::kControlTimeout;
  std::size_t max_connections = base::limits::kMaxControlConnections;
  std::size_t max_connections_per_user = base::limits::kMaxControlConnectionsPerUser;
  std::size_t for_root = base::limits::kControlConnectionsForRoot;  // of max_connections
};

// The agent's Unix socket: every local user may connect, asks one thing, gets one answer, and is
// disconnected. Who asks is told by the kernel. Nothing that a client sends or omits costs more
// than its own connection, until the timeout.
//
// Loop-owned; loop and answerer must outlive it. Going out of scope drops its connections and
// removes the socket.
class Server {
 public:
  // Listens when it returns. Errors are those of SocketPath::Claim and of the system's calls.
  static base::Result<std::unique_ptr<Server>> Listen(asio::AsioLoop& loop, Answerer& answerer,
                                                      const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // For `doctor` and for tests.
  struct Counts {
    std::uint64_t answered = 0;
    std::uint64_t refused = 0;  // past a limit on connections, or from nobody known
    std::uint64_t timed_out = 0;
    std::size_t open = 0;
  };
  Counts counts() const;

 private:
  class State;
  explicit Server(std::shared_ptr<State> state);

  // Shared with the handlers that Asio holds, which may run after this object is gone.
  std::shared_ptr<State> state_;
};

}  // namespace weighmaster::agent::control
