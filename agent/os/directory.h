#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/os/fd.h"
#include "agent/os/open_file.h"
#include "policy/base/result.h"

namespace weighmaster::agent::os {

// Opens a folder that the user named; symbolic links in the path are followed, because the path is
// the user's own word.
base::Result<Fd> OpenFolder(const std::string& path);

// Opens a folder below an open one by one or more names ("a/b", of any length), following no
// symbolic link and leaving neither the folder nor its mount. Another mount in the way is
// OUT_OF_RANGE; what is no folder (any more) is FAILED_PRECONDITION.
base::Result<Fd> OpenFolderBeneath(int folder, std::string_view names);
// The same for a regular file, opened as OpenRegularAt does.
base::Result<OpenedFile> OpenRegularBeneath(int folder, std::string_view names);

// The entries of one open folder, in the order of the file system. Not thread-safe. The descriptor
// must outlive it.
class FolderReader {
 public:
  enum class Type : std::uint8_t { kRegular, kFolder, kOther, kUnknown };
  struct Entry {
    std::string_view name;  // until the next call; never "." or ".."
    Type type = Type::kUnknown;
  };

  // Reads from the beginning. The buffer is the caller's, so that one serves a whole walk.
  FolderReader(int folder, std::byte* buffer, std::size_t size)
      : folder_(folder), buffer_(buffer), size_(size) {}

  // Whether there was another entry.
  base::Result<bool> Next(Entry& entry);

 private:
  int folder_;
  std::byte* buffer_;
  std::size_t size_;
  std::size_t filled_ = 0;
  std::size_t position_ = 0;
};

}  // namespace weighmaster::agent::os
