#pragma once

#include <string>

#include "agent/os/fd.h"
#include "policy/base/result.h"

namespace weighmaster::agent::control {

// The right to listen at a path, held through a lock on `path.lock` that the kernel gives back when
// its owner dies. A socket file without a lock is therefore what a killed agent left, and is
// removed; one with a lock belongs to a living agent. Asking the socket itself instead would leave
// a gap in which two agents that start together remove each other's file.
class SocketPath {
 public:
  // ALREADY_EXISTS when another process listens there, FAILED_PRECONDITION when something other
  // than a socket is in the way, INVALID_ARGUMENT when the path is too long for a socket.
  static base::Result<SocketPath> Claim(std::string path);

  ~SocketPath();
  SocketPath(SocketPath&&) = default;
  SocketPath& operator=(SocketPath&&) = delete;
  SocketPath(const SocketPath&) = delete;
  SocketPath& operator=(const SocketPath&) = delete;

  const std::string& path() const { return path_; }

 private:
  SocketPath(std::string path, os::Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  os::Fd lock_;  // open: this object owns the path, and removes the socket in the end
};

}  // namespace weighmaster::agent::control
