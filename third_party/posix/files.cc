#include "third_party/posix/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace weighmaster::posix {
namespace {

// Closes what it opened; standard input stays open.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

base::Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return base::FromErrno(errno, "write " + path);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

base::Status WriteDurably(const std::string& path,
                          const std::function<base::Status(const Sink&)>& fill, mode_t mode) {
  const Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (file.get() < 0) return base::FromErrno(errno, "open " + path);
  WM_RETURN_IF_ERROR(
      fill([&](std::string_view piece) { return WriteAll(file.get(), piece, path); }));
  if (::fsync(file.get()) != 0) return base::FromErrno(errno, "fsync " + path);
  return {};
}

std::function<base::Status(const Sink&)> Whole(std::string_view content) {
  return [content](const Sink& sink) { return sink(content); };
}

// A rename is durable once its folder is.
base::Status SyncFolderOf(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0) return base::FromErrno(errno, "open " + folder);
  if (::fsync(opened.get()) != 0) return base::FromErrno(errno, "fsync " + folder);
  return {};
}

}  // namespace

base::Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  std::string content;
  WM_RETURN_IF_ERROR(ReadPieces(path, [&](std::string_view piece) -> base::Status {
    content += piece;
    if (content.size() <= max_bytes) return {};
    return base::ResourceExhausted(path + " is longer than the limit of " +
                                   std::to_string(max_bytes) + " bytes");
  }));
  return content;
}

base::Status ReadPieces(const std::string& path, const Sink& sink) {
  const Descriptor file(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                    : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return base::FromErrno(errno, "open " + path);
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::FromErrno(errno, "read " + path);
    if (count == 0) return {};
    WM_RETURN_IF_ERROR(sink({buffer, static_cast<std::size_t>(count)}));
  }
}

base::Result<std::string> ReadFileBelow(const std::string& folder, const std::string& path,
                                        std::size_t max_bytes) {
  std::error_code error;
  const auto base_folder = std::filesystem::canonical(folder.empty() ? "." : folder, error);
  if (error) return base::FromErrno(error.value(), folder);
  const auto file = std::filesystem::canonical(base_folder / path, error);
  if (error) return base::FromErrno(error.value(), path);
  if (std::ranges::mismatch(base_folder, file).in1 != base_folder.end()) {
    return base::InvalidArgument(path + " leads out of the folder " + base_folder.string());
  }
  return ReadFile(file.string(), max_bytes);
}

base::Status ReplaceFile(const std::string& path, std::string_view content, mode_t mode) {
  return ReplaceFile(path, Whole(content), mode);
}

base::Status ReplaceFile(const std::string& path,
                         const std::function<base::Status(const Sink&)>& fill, mode_t mode) {
  const std::string temporary = path + ".new";
  static_cast<void>(::unlink(temporary.c_str()));
  if (auto written = WriteDurably(temporary, fill, mode); !written.has_value()) {
    static_cast<void>(::unlink(temporary.c_str()));
    return written;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return base::FromErrno(errno, "rename " + temporary);
  }
  return SyncFolderOf(path);
}

base::Status WriteNewFile(const std::string& path, std::string_view content, mode_t mode) {
  WM_RETURN_IF_ERROR(WriteDurably(path, Whole(content), mode));
  return SyncFolderOf(path);
}

base::Status MakePrivateFolder(const std::string& path) {
  const mode_t old_mask = ::umask(077);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  ::umask(old_mask);
  if (error) return base::FromErrno(error.value(), "making the folder " + path);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return base::FromErrno(errno, "stat " + path);
  if (info.st_uid != ::geteuid() || (info.st_mode & 077) != 0) {
    return base::FailedPrecondition(path +
                                    " must belong to this program's user alone; run chown "
                                    "and chmod 700 on it, or name another folder");
  }
  return {};
}

}  // namespace weighmaster::posix
