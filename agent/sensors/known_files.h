#pragma once

#include <cstdint>
#include <optional>

#include "agent/sensors/observation.h"
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

// What the inventory knows, asked by the artifact sensor so that unchanged files are left alone.
// Any thread may call it, and must not have to wait for the loop. Whoever made it must outlive the
// sensor.
class KnownFiles {
 public:
  virtual ~KnownFiles() = default;

  // What is known of a file in exactly this state: of this path, or else of another path of the
  // same file (a hard link; `sighting.path` says which). Nothing when the state differs.
  virtual std::optional<KnownFile> Find(const model::Path& path, const FileStamp& stamp) = 0;

  // Whether this path was a model when it was last looked at, in whatever state.
  virtual bool HasModelAt(const model::Path& path) = 0;
};

}  // namespace weighmaster::agent::sensors
