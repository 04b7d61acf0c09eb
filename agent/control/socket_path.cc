#include "agent/control/socket_path.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "policy/base/bytes.h"

namespace weighmaster::agent::control {
namespace {

base::Status RemoveStaleSocket(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return base::FromErrno(errno, "look at " + base::EscapeForDisplay(path));
  }
  if (!S_ISSOCK(found.st_mode)) {
    return base::FailedPrecondition(base::EscapeForDisplay(path) +
                                    " is in the way and is not a socket: move it, or set another "
                                    "control socket");
  }
  if (unlink(path.c_str()) != 0) {
    return base::FromErrno(errno, "remove the stale socket " + base::EscapeForDisplay(path));
  }
  return {};
}

}  // namespace

base::Result<SocketPath> SocketPath::Claim(std::string path) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return base::InvalidArgument("the control socket's path must have 1 to " +
                                 std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                                 " bytes: " + base::EscapeForDisplay(path));
  }
  const std::string lock_path = path + ".lock";
  os::Fd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.is_open()) return base::FromErrno(errno, "open " + base::EscapeForDisplay(lock_path));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return base::FromErrno(errno, "lock " + base::EscapeForDisplay(lock_path));
    }
    return base::AlreadyExists("another agent is listening at " + base::EscapeForDisplay(path) +
                               ": stop it, or set another control socket");
  }
  WM_RETURN_IF_ERROR(RemoveStaleSocket(path));
  return SocketPath(std::move(path), std::move(lock));
}

SocketPath::~SocketPath() {
  // The lock's file stays: removing it would let two processes lock two files of one name.
  if (lock_.is_open()) unlink(path_.c_str());
}

}  // namespace weighmaster::agent::control
