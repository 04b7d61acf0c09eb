#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/os/directory.h"

namespace weighmaster::agent::os {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;

// Component by component where there is no openat2. A bind mount of the same file system is not
// told from its surroundings then.
base::Result<Fd> OpenStepwise(int folder, const std::string& names) {
  struct stat outer = {};
  if (::fstat(folder, &outer) != 0) return base::FromErrno(errno, "fstat");
  Fd current;
  std::size_t begin = 0;
  while (begin < names.size()) {
    const std::size_t end = std::min(names.find('/', begin), names.size());
    const std::string name = names.substr(begin, end - begin);
    begin = end + 1;
    Fd next(::openat(current.is_open() ? current.get() : folder, name.c_str(),
                     kFolderFlags | O_NOFOLLOW));
    if (!next.is_open()) return base::FromErrno(errno, "open folder");
    struct stat inner = {};
    if (::fstat(next.get(), &inner) != 0) return base::FromErrno(errno, "fstat");
    if (inner.st_dev != outer.st_dev) return base::OutOfRange("another file system");
    current = std::move(next);
  }
  return current;
}

base::Result<Fd> OpenStep(int folder, const std::string& names) {
  struct open_how how = {};
  how.flags = kFolderFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  const long fd = ::syscall(SYS_openat2, folder, names.c_str(), &how, sizeof how);
  if (fd >= 0) return Fd(static_cast<int>(fd));
  if (errno == ENOSYS || errno == EPERM) return OpenStepwise(folder, names);
  if (errno == EXDEV) return base::OutOfRange("another mount");
  if (errno == ELOOP || errno == ENOTDIR) return base::FailedPrecondition("not a folder");
  return base::FromErrno(errno, "open folder");
}

FolderReader::Type TypeOf(unsigned char d_type) {
  switch (d_type) {
    case DT_REG:
      return FolderReader::Type::kRegular;
    case DT_DIR:
      return FolderReader::Type::kFolder;
    case DT_UNKNOWN:
      return FolderReader::Type::kUnknown;
    default:
      return FolderReader::Type::kOther;
  }
}

}  // namespace

base::Result<Fd> OpenFolder(const std::string& path) {
  Fd fd(::open(path.c_str(), kFolderFlags));
  if (!fd.is_open()) return base::FromErrno(errno, "open folder");
  return fd;
}

base::Result<Fd> OpenFolderBeneath(int folder, std::string_view names) {
  // A path of more than PATH_MAX bytes is opened in steps.
  constexpr std::size_t kStepBytes = 4000;
  Fd current;
  while (names.size() > kStepBytes) {
    const std::size_t cut = names.rfind('/', kStepBytes);
    if (cut == std::string_view::npos || cut == 0)
      return base::InvalidArgument("a name is too long");
    WM_ASSIGN_OR_RETURN(Fd next, OpenStep(current.is_open() ? current.get() : folder,
                                          std::string(names.substr(0, cut))));
    current = std::move(next);
    names.remove_prefix(cut + 1);
  }
  return OpenStep(current.is_open() ? current.get() : folder, std::string(names));
}

base::Result<OpenedFile> OpenRegularBeneath(int folder, std::string_view names) {
  const std::size_t cut = names.rfind('/');
  if (cut == std::string_view::npos) return OpenRegularAt(folder, std::string(names));
  WM_ASSIGN_OR_RETURN(const Fd parent, OpenFolderBeneath(folder, names.substr(0, cut)));
  return OpenRegularAt(parent.get(), std::string(names.substr(cut + 1)));
}

base::Result<bool> FolderReader::Next(Entry& entry) {
  // struct linux_dirent64 (getdents64(2)): ino 8, off 8, reclen 2, type 1, name. Written by the
  // kernel, so its lengths hold.
  constexpr std::size_t kLengthAt = 16;
  constexpr std::size_t kTypeAt = 18;
  constexpr std::size_t kNameAt = 19;
  while (true) {
    if (position_ == filled_) {
      // readdir(3) asks for 32 KiB at a time; fewer, larger calls are what makes a walk cheap.
      const long n = ::syscall(SYS_getdents64, folder_, buffer_, size_);
      if (n < 0) return base::FromErrno(errno, "read folder");
      if (n == 0) return false;
      filled_ = static_cast<std::size_t>(n);
      position_ = 0;
    }
    const std::byte* record = buffer_ + position_;
    std::uint16_t length = 0;
    std::memcpy(&length, record + kLengthAt, sizeof length);
    position_ += length;
    const char* name = reinterpret_cast<const char*>(record + kNameAt);
    entry.name = std::string_view(name, ::strnlen(name, length - kNameAt));
    if (entry.name == "." || entry.name == "..") continue;
    entry.type = TypeOf(static_cast<unsigned char>(record[kTypeAt]));
    return true;
  }
}

}  // namespace weighmaster::agent::os
