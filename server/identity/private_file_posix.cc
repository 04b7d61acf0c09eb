#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "server/identity/private_file.h"

namespace weighmaster::server::identity {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

base::Status SyncFolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return base::FromErrno(errno, "open " + folder);
  if (fsync(fd.get()) != 0) return base::FromErrno(errno, "fsync " + folder);
  return {};
}

}  // namespace

base::Status WriteNewPrivateFile(const std::string& path, std::string_view content) {
  const Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.get() < 0) return base::FromErrno(errno, "create " + path);
  while (!content.empty()) {
    const ssize_t written = write(fd.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return base::FromErrno(errno, "write " + path);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(fd.get()) != 0) return base::FromErrno(errno, "fsync " + path);
  return SyncFolderOf(path);
}

base::Status MakePrivateFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return SyncFolderOf(path);
  if (errno == EEXIST) return {};
  return base::FromErrno(errno, "mkdir " + path);
}

base::Result<std::string> ReadSmallFile(const std::string& path, std::size_t limit) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return base::FromErrno(errno, "open " + path);
  std::string content;
  char buffer[4096];
  while (true) {
    const ssize_t size = read(fd.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return base::FromErrno(errno, "read " + path);
    if (size == 0) return content;
    content.append(buffer, static_cast<std::size_t>(size));
    if (content.size() > limit) return base::OutOfRange(path + " is too large");
  }
}

}  // namespace weighmaster::server::identity
