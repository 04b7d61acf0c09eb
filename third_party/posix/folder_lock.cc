#include "third_party/posix/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace weighmaster::posix {

base::Result<FolderLock> FolderLock::Take(const std::string& folder, std::string_view program) {
  const std::string path = folder + "/lock";
  FolderLock lock;
  lock.fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock.fd_ < 0) return base::FromErrno(errno, "open " + path);
  if (flock(lock.fd_, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return base::FromErrno(errno, "lock " + path);
  return base::FailedPrecondition("another " + std::string(program) + " works on " + folder +
                                  "; stop it first, or name another folder");
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace weighmaster::posix
