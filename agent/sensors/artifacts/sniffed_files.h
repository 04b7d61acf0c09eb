#pragma once

#include <cstdint>
#include <unordered_set>

#include "agent/sensors/known_files.h"
#include "policy/base/random.h"

namespace weighmaster::agent::sensors {

// The files that were looked at and are no model, in the state in which they were, so that a rescan
// need not open them again. In memory only: a restart sniffs them once more. Eight bytes of a
// salted digest a file, so that nobody can choose two files that are taken for one another. At
// limits::kMaxSniffedFiles everything is forgotten. One thread at a time.
class SniffedFiles {
 public:
  explicit SniffedFiles(base::Random& random) : salt_(random.Next()) {}

  bool Contains(const FileStamp& stamp) const { return keys_.contains(Key(stamp)); }
  void Insert(const FileStamp& stamp);

 private:
  std::uint64_t Key(const FileStamp& stamp) const;

  const std::uint64_t salt_;
  std::unordered_set<std::uint64_t> keys_;
};

}  // namespace weighmaster::agent::sensors
