#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/os/fd.h"
#include "agent/os/open_file.h"
#include "agent/sensors/artifacts/roots.h"

namespace weighmaster::agent::sensors {

// A regular file that the walk has come to. All of it holds until the visitor returns.
struct FoundFile {
  int folder = -1;
  const std::string& name;
  const std::string& path;  // full
  const os::FileStatus& status;
};

// What a walk came to, for coverage.
struct WalkSummary {
  std::uint64_t files = 0;  // regular files
  std::uint64_t folders = 0;
  std::uint64_t unreadable_folders = 0;  // by permission
  std::uint64_t failed = 0;              // I/O errors, and files whose status could not be asked
  std::uint64_t beyond_limit = 0;        // deeper than limits::kMaxPathBytes
  std::uint64_t excluded = 0;
  // The folders and files behind the three counts before, and how many there was no room for
  // (limits::kMaxUnreadPaths).
  std::vector<std::string> unread;
  std::uint64_t unnamed = 0;
  bool finished = false;  // false: it was stopped
};

// Visits every regular file below a root, on one mount, following no symbolic link, in no
// particular order. Iterative, and it keeps at most limits::kMaxOpenFolders folders open whatever
// the depth. Folders that vanish meanwhile are no failure; what can't be read is counted. One walk
// at a time; not thread-safe.
class Walker {
 public:
  using Visit = std::function<void(const FoundFile&)>;
  // Called after each folder with its number of entries: the place to be slow.
  using Rest = std::function<void(std::uint64_t entries)>;

  // `excluded` are full paths of folders or files that are left out.
  explicit Walker(std::vector<std::string> excluded);

  WalkSummary Walk(const Root& root, const Visit& visit, const Rest& rest,
                   const std::stop_token& stop);

 private:
  struct Frame {
    os::Fd fd;              // closed while the walk is far below
    std::size_t path_size;  // of this folder in path_
    std::uint64_t device;
    std::uint64_t inode;
    std::vector<std::string> folders;  // below it, still to be visited
  };

  void ReadFolder(const Visit& visit, const Rest& rest, const std::stop_token& stop);
  void VisitEntry(Frame& frame, std::string_view name, bool may_be_folder, const Visit& visit);
  // Goes into a folder below the last frame, if it opens.
  void Descend(const std::string& name);
  bool Reopen(const Root& root, Frame& frame);
  void Count(const base::Error& error, std::string_view name);
  void NameUnread(std::string_view name);
  bool IsExcluded(std::string_view name);

  const std::set<std::string, std::less<>> excluded_;
  std::vector<std::byte> buffer_;
  std::vector<Frame> frames_;
  std::string path_;  // of the last frame
  std::string name_;  // reused for each entry
  std::string file_path_;
  WalkSummary summary_;
};

}  // namespace weighmaster::agent::sensors
