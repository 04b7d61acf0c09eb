#pragma once

#include <cstdint>
#include <string>

#include "agent/os/fd.h"
#include "policy/base/result.h"

namespace weighmaster::agent::os {

// What the sensors need of a file's metadata.
struct FileStatus {
  enum class Type : std::uint8_t { kRegular, kFolder, kOther };
  Type type = Type::kOther;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t links = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t allocated_bytes = 0;  // less than the size where the file has holes
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint32_t owner = 0;  // uid
  friend bool operator==(const FileStatus&, const FileStatus&) = default;
};
base::Result<FileStatus> StatusOf(int fd);
// Of a name in an open folder; a symbolic link is not followed and comes back as kOther.
base::Result<FileStatus> StatusAt(int folder, const std::string& name);

struct OpenedFile {
  Fd fd;
  FileStatus status;
};

// Opens a name in an open folder for reading: no symbolic link is followed, nothing blocks (a FIFO,
// a device, a lease), the access time stays where the system allows that, and anything but a
// regular file is FAILED_PRECONDITION. `name` is one component.
base::Result<OpenedFile> OpenRegularAt(int folder, const std::string& name);
// The same for a path. A link in its last component is refused; the folders above it are the
// caller's.
base::Result<OpenedFile> OpenRegular(const std::string& path);

// Fills `size` bytes from `offset` as far as there are any; EINTR is repeated.
base::Result<std::size_t> ReadAt(int fd, std::uint64_t offset, void* out, std::size_t size);

// Hints for the page cache. The first asks for read-ahead. The second gives back pages that were
// read, so that scanning pushes out nobody's working set; it also drops those that others had read.
void AdviseSequential(int fd);
void AdviseDone(int fd, std::uint64_t offset, std::uint64_t size);

// Whether most of a file was in the page cache already, told by a few pages spread over it. Such a
// file is somebody's working set and its pages are left alone.
bool IsMostlyCached(int fd, std::uint64_t size);

// Whether the file system of this open folder or file is known to renew the ctime of a file with
// the first write to a page of it that has been written back, also through a mapping. tmpfs and
// overlays do not, FAT has no ctime but the mtime that anybody may set, and FUSE says what it
// likes.
bool RenewsTimes(int fd);

// Writes back what is dirty of a file, so that from here on a write shows in its ctime where
// RenewsTimes: until then a mapping changes a dirty page without renewing any time. Blocks. False
// when it could not be done.
bool WriteBack(int fd);

// The whole of a small file of the system's own, e.g. in /proc. Longer than `limit` is
// RESOURCE_EXHAUSTED.
base::Result<std::string> ReadSmallFile(const std::string& path, std::size_t limit);

// The name of a uid, or "" when there is none.
std::string UserName(std::uint32_t uid);

}  // namespace weighmaster::agent::os
