#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "policy/model/sighting.h"

namespace weighmaster::agent::sensors {

// What a sensor saw, before it is compared with what was known. Sensors hold no policy and know no
// event; the inventory compares.

// A file that is a model, as it is now.
struct ModelSeen {
  model::Sighting sighting;
  // mtime and ctime to the nanosecond, for KnownFile. Both 0: the file was still changing or could
  // not be looked at whole, so what is known of it must not spare it the next look.
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
};

// A path below a root is not a model any more, or not there any more.
struct ModelGone {
  model::Path path;
  bool deleted = true;  // false: still there, no model
};

// A walk over one root began or ended. Between the two every model below the root is reported, also
// when unchanged (ModelStillThere), so that the inventory knows at the end which are gone.
struct ModelStillThere {
  model::Path path;
};
struct WalkStarted {
  model::Path root;
};
// `complete` says that what was not reported is gone; a walk that could not read everything below
// its root is not complete, and nothing is concluded from it.
struct WalkFinished {
  model::Coverage coverage;
  bool complete = false;
};
struct CoverageSeen {
  model::Coverage coverage;
};

using Observation =
    std::variant<ModelSeen, ModelGone, ModelStillThere, WalkStarted, WalkFinished, CoverageSeen>;

// What the inventory knew of a file when the sensor asks: enough to leave an unchanged one alone.
struct KnownFile {
  model::FileIdentity identity;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // mtime and ctime to the nanosecond, so that a change shows
  std::int64_t changed_ns = 0;
  bool is_model = false;
  model::Sighting sighting;  // when is_model
};

}  // namespace weighmaster::agent::sensors
