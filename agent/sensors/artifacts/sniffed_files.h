#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>

#include "agent/os/open_file.h"
#include "policy/base/random.h"

namespace weighmaster::agent::sensors {

// The files that were looked at and are no model, in the state in which they were, so that a rescan
// need not open them again. In memory only: a restart sniffs them once more. A file is told by its
// file system (FileSystemIdentity::prefix) and by what stat(2) says of it, device and inode among
// it, because that is all that a walk asks of a file that it knows; and by whether it had been
// written back when it was looked at, so that it is looked at once more when it has. Eight bytes of
// a salted digest a file, so that nobody can choose two files that are taken for one another. At
// limits::kMaxSniffedFiles everything is forgotten. One thread at a time.
class SniffedFiles {
 public:
  explicit SniffedFiles(base::Random& random) : salt_(random.Next()) {}

  bool Contains(const std::string& file_system, const os::FileStatus& status,
                bool written_back) const {
    return keys_.contains(Key(file_system, status, written_back));
  }
  void Insert(const std::string& file_system, const os::FileStatus& status, bool written_back);

 private:
  std::uint64_t Key(const std::string& file_system, const os::FileStatus& status,
                    bool written_back) const;

  const std::uint64_t salt_;
  std::unordered_set<std::uint64_t> keys_;
};

}  // namespace weighmaster::agent::sensors
