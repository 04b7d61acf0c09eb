#pragma once

#include <cstdint>
#include <unordered_set>

#include "agent/os/open_file.h"
#include "policy/base/random.h"

namespace weighmaster::agent::sensors {

// The files that were looked at and are no model, in the state in which they were, so that a rescan
// need not open them again. In memory only: a restart sniffs them once more. A file is told by what
// stat(2) says of it, device and inode among it, because that is all that a walk asks of a file
// that it knows; they hold for as long as this memory does, and an inode that is used again has
// another ctime. Eight bytes of a salted digest a file, so that nobody can choose two files that
// are taken for one another. At limits::kMaxSniffedFiles everything is forgotten. One thread at a
// time.
class SniffedFiles {
 public:
  explicit SniffedFiles(base::Random& random) : salt_(random.Next()) {}

  bool Contains(const os::FileStatus& status) const { return keys_.contains(Key(status)); }
  void Insert(const os::FileStatus& status);

 private:
  std::uint64_t Key(const os::FileStatus& status) const;

  const std::uint64_t salt_;
  std::unordered_set<std::uint64_t> keys_;
};

}  // namespace weighmaster::agent::sensors
