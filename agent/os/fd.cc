#include "agent/os/fd.h"

#include <unistd.h>

#include <cerrno>

namespace weighmaster::agent::os {

void Fd::Reset() {
  if (fd_ < 0) return;
  const int kept = errno;
  // Not repeated on EINTR: Linux has closed the descriptor by then, and its number may be
  // another's.
  ::close(fd_);
  fd_ = -1;
  errno = kept;
}

}  // namespace weighmaster::agent::os
