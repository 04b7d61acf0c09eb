#include "agent/app/files.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace weighmaster::agent::app {
base::Status MakeSocketFolder(const std::string& socket_path) {
  const auto folder = std::filesystem::path(socket_path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return base::FromErrno(error.value(), "making the folder " + folder.string());
  return {};
}

base::Result<os::Fd> LockFolder(const std::string& folder) {
  const std::string path = folder + "/lock";
  os::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.is_open()) return base::FromErrno(errno, "open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return base::FromErrno(errno, "lock " + path);
    return base::FailedPrecondition("another agent works on " + folder +
                                    "; stop it first, or name another state_folder");
  }
  return fd;
}

}  // namespace weighmaster::agent::app
