#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "third_party/openssl/key_file.h"

namespace weighmaster::openssl {
namespace {

constexpr std::size_t kMaxSecretFileBytes = 64 * 1024;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

base::Status CheckPrivate(int fd, const std::string& path) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return base::FromErrno(errno, "fstat " + path);
  if (!S_ISREG(facts.st_mode)) return base::FailedPrecondition(path + " is not a regular file");
  if ((facts.st_mode & 0077) != 0) {
    return base::FailedPrecondition(
        path + " holds a private key that other users may reach; run: chmod 600 " + path);
  }
  if (facts.st_uid != ::geteuid() && facts.st_uid != 0) {
    return base::FailedPrecondition(
        path + " holds a private key and belongs to another user; run: chown " +
        std::to_string(::geteuid()) + " " + path);
  }
  return {};
}

base::Status WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return base::FromErrno(errno, "write " + path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return base::FromErrno(errno, "fsync " + path);
  return {};
}

base::Status SyncFolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return base::FromErrno(errno, "open " + folder);
  if (::fsync(fd.get()) != 0) return base::FromErrno(errno, "fsync " + folder);
  return {};
}

}  // namespace

base::Result<std::string> ReadSecretFile(const std::string& path) {
  // O_NONBLOCK: a pipe under this name must not hang the caller before fstat has told.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) return base::FromErrno(errno, "open " + path);
  WM_RETURN_IF_ERROR(CheckPrivate(fd.get(), path));
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::read(fd.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return base::FromErrno(errno, "read " + path);
    if (size == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
    if (text.size() > kMaxSecretFileBytes) {
      return base::InvalidArgument(path + " is too long for a private key");
    }
  }
}

base::Status WriteNewSecretFile(const std::string& path, std::string_view text) {
  std::string temporary = path + ".XXXXXX";
  const Descriptor fd(::mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
  if (fd.get() < 0) return base::FromErrno(errno, "make a file beside " + path);
  base::Status status = WriteAll(fd.get(), text, temporary);
  // link() refuses a name that is taken, which rename() would replace.
  if (status && ::link(temporary.c_str(), path.c_str()) != 0) {
    status = base::FromErrno(errno, "create " + path);
  }
  ::unlink(temporary.c_str());
  WM_RETURN_IF_ERROR(std::move(status));
  return SyncFolderOf(path);
}

}  // namespace weighmaster::openssl
