#pragma once

#include <cstdint>
#include <optional>

#include "agent/sensors/file_stamp.h"
#include "agent/sensors/observation.h"
#include "policy/model/sighting.h"

namespace weighmaster::agent::sensors {

// What the inventory knows of a model.
struct KnownFile {
  model::Sighting sighting;
  bool lasting = true;  // as in ModelSeen: enough to leave the file alone
};

// What the inventory knows, asked by the artifact sensor so that unchanged files are left alone.
// Any thread may call it, and must not have to wait for the loop. Whoever made it must outlive the
// sensor.
class KnownFiles {
 public:
  virtual ~KnownFiles() = default;

  // What is known of a file in exactly this state: of this path, or else, if it is lasting, of
  // another path of the same file (a hard link; `sighting.path` says which). Nothing when the state
  // differs.
  virtual std::optional<KnownFile> Find(const model::Path& path, const FileStamp& stamp) = 0;

  // Whether this path was a model when it was last looked at, in whatever state.
  virtual bool HasModelAt(const model::Path& path) = 0;
};

}  // namespace weighmaster::agent::sensors
