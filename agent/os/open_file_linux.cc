#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <vector>

#include "agent/os/open_file.h"

namespace weighmaster::agent::os {
namespace {

constexpr std::uint64_t kBlockBytes = 512;  // of st_blocks, whatever the file system's own are

// A file may claim any time at all; one that does not fit is the nearest that does.
std::int64_t Nanoseconds(const struct timespec& time) {
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(std::int64_t{time.tv_sec}, std::int64_t{1'000'000'000}, &ns) ||
      __builtin_add_overflow(ns, std::int64_t{time.tv_nsec}, &ns)) {
    using Limits = std::numeric_limits<std::int64_t>;
    return time.tv_sec < 0 ? Limits::min() : Limits::max();
  }
  return ns;
}

FileStatus FromStat(const struct stat& st) {
  FileStatus status;
  status.type = S_ISREG(st.st_mode)   ? FileStatus::Type::kRegular
                : S_ISDIR(st.st_mode) ? FileStatus::Type::kFolder
                                      : FileStatus::Type::kOther;
  status.device = st.st_dev;
  status.inode = st.st_ino;
  status.links = st.st_nlink;
  status.size_bytes = static_cast<std::uint64_t>(st.st_size);
  status.allocated_bytes = static_cast<std::uint64_t>(st.st_blocks) * kBlockBytes;
  status.modified_ns = Nanoseconds(st.st_mtim);
  status.changed_ns = Nanoseconds(st.st_ctim);
  status.owner = st.st_uid;
  return status;
}

int OpenOnce(int folder, const char* path, int flags, bool beneath) {
  if (beneath) {
    struct open_how how = {};
    how.flags = static_cast<__u64>(flags);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    const long fd = ::syscall(SYS_openat2, folder, path, &how, sizeof how);
    // ENOSYS before Linux 5.6, EPERM under a container's old seccomp filter. For one component
    // O_NOFOLLOW says the same.
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(fd);
  }
  return ::openat(folder, path, flags);
}

base::Result<OpenedFile> Open(int folder, const char* path, bool beneath) {
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  // Only the owner and root may keep the access time; the others get EPERM.
  int fd = OpenOnce(folder, path, kFlags | O_NOATIME, beneath);
  if (fd < 0 && errno == EPERM) fd = OpenOnce(folder, path, kFlags, beneath);
  if (fd < 0) return base::FromErrno(errno, "open");
  OpenedFile file;
  file.fd = Fd(fd);
  WM_ASSIGN_OR_RETURN(file.status, StatusOf(fd));
  if (file.status.type != FileStatus::Type::kRegular) {
    return base::FailedPrecondition("not a regular file");
  }
  return file;
}

}  // namespace

base::Result<FileStatus> StatusOf(int fd) {
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return base::FromErrno(errno, "fstat");
  return FromStat(st);
}

base::Result<FileStatus> StatusAt(int folder, const std::string& name) {
  struct stat st = {};
  if (::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    return base::FromErrno(errno, "fstatat");
  }
  return FromStat(st);
}

base::Result<OpenedFile> OpenRegularAt(int folder, const std::string& name) {
  // Opening a device can act on it (a tape rewinds), so the type is asked for before and, against a
  // name that is swapped in between, after.
  WM_ASSIGN_OR_RETURN(const FileStatus before, StatusAt(folder, name));
  if (before.type != FileStatus::Type::kRegular) {
    return base::FailedPrecondition("not a regular file");
  }
  return Open(folder, name.c_str(), true);
}

base::Result<OpenedFile> OpenRegular(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const FileStatus before, StatusAt(AT_FDCWD, path));
  if (before.type != FileStatus::Type::kRegular) {
    return base::FailedPrecondition("not a regular file");
  }
  return Open(AT_FDCWD, path.c_str(), false);
}

base::Result<std::size_t> ReadAt(int fd, std::uint64_t offset, void* out, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n =
        ::pread(fd, static_cast<char*>(out) + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::FromErrno(errno, "read");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

void AdviseSequential(int fd) {
  static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
}

void AdviseDone(int fd, std::uint64_t offset, std::uint64_t size) {
  static_cast<void>(::posix_fadvise(fd, static_cast<off_t>(offset), static_cast<off_t>(size),
                                    POSIX_FADV_DONTNEED));
}

bool IsMostlyCached(int fd, std::uint64_t size) {
  constexpr std::uint64_t kSamples = 16;
  if (size == 0) return false;
  // Mapped but never touched: asking brings nothing in.
  void* base = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return false;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t pages = (size + page - 1) / page;
  std::uint64_t cached = 0;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    unsigned char resident = 0;
    const std::uint64_t at = pages * i / kSamples * page;
    if (::mincore(static_cast<char*>(base) + at, 1, &resident) == 0) cached += resident & 1U;
  }
  ::munmap(base, size);
  return cached * 2 > kSamples;
}

bool RenewsTimes(int fd) {
  constexpr std::uint64_t kZfsMagic = 0x2fc12fc1;  // OpenZFS, module/os/linux/zfs/zpl_super.c
  constexpr std::array<std::uint64_t, 8> kRenewing = {
      EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,    F2FS_SUPER_MAGIC,
      kZfsMagic,        SQUASHFS_MAGIC,  EROFS_SUPER_MAGIC_V1, ISOFS_SUPER_MAGIC};
  struct statfs st = {};
  return ::fstatfs(fd, &st) == 0 &&
         std::find(kRenewing.begin(), kRenewing.end(), static_cast<std::uint32_t>(st.f_type)) !=
             kRenewing.end();
}

bool WriteBack(int fd) { return ::fdatasync(fd) == 0; }

base::Result<std::string> ReadSmallFile(const std::string& path, std::size_t limit) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return base::FromErrno(errno, "open " + path);
  std::string text;
  char buffer[16 * 1024];
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::FromErrno(errno, "read " + path);
    if (n == 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > limit) return base::ResourceExhausted(path + " is longer than expected");
  }
}

std::string UserName(std::uint32_t uid) {
  constexpr std::size_t kEntryBytes = 16 * 1024;
  std::vector<char> buffer(kEntryBytes);
  struct passwd entry = {};
  struct passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return found->pw_name;
}

}  // namespace weighmaster::agent::os
