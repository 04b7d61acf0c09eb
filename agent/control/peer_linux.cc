#include <sys/socket.h>

#include <cerrno>

#include "agent/control/peer.h"

namespace weighmaster::agent::control {

base::Result<std::uint32_t> PeerUser(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return base::FromErrno(errno, "getsockopt SO_PEERCRED");
  }
  return credentials.uid;
}

}  // namespace weighmaster::agent::control
