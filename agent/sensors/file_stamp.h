#pragma once

#include <cstdint>

#include "policy/model/sighting.h"

namespace weighmaster::agent::sensors {

// One state of one file: equal stamps mean that nothing has written to it in between. ctime is what
// carries this, because nobody can set it back; a link, a rename or a chmod renews it too, and then
// the file is read again.
struct FileStamp {
  model::FileIdentity identity;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

}  // namespace weighmaster::agent::sensors
