#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "agent/sensors/file_stamp.h"
#include "policy/model/sighting.h"

namespace weighmaster::agent::sensors {

// What a sensor saw, before it is compared with what was known. Sensors hold no policy and know no
// event; the inventory compares.

// A file that is a model, as it is now.
struct ModelSeen {
  model::Sighting sighting;
  std::int64_t modified_ns = 0;  // mtime and ctime to the nanosecond, for KnownFile
  std::int64_t changed_ns = 0;
  // false: the file was still changing, may change without these times, or could not be looked at
  // whole, so what is known of it must not spare it the next look.
  bool lasting = true;
};

// The digest of a model that was told of before, or why there is none. It speaks of the file in the
// state of its stamp, and of nothing else that the path may name by now.
struct ModelHashed {
  model::Path path;
  FileStamp stamp;
  bool lasting = true;  // as in ModelSeen
  model::ContentDigest digest;
  model::WeightsIdentity weights;  // when the digest is verified
};

// A path below a root is not a model any more, or not there any more.
struct ModelGone {
  model::Path path;
  bool deleted = true;  // false: still there, no model
};

// At the beginning of a walk over all roots: these and no others will be spoken of, whether walked
// or, with the reason, not. What was known outside of them, or of a root that is none any more, is
// gone. Not told while a root can't be resolved.
struct RootsChosen {
  std::string sensor;
  std::vector<model::Path> roots;  // absolute, without links
};

// A walk over one root began or ended. Between the two every model below the root is reported, also
// when unchanged (ModelStillThere), so that the inventory knows at the end which are gone.
struct ModelStillThere {
  model::Path path;
};
struct WalkStarted {
  model::Path root;
};
// `complete` says that what was not reported is gone, except at and below `unread`: folders and
// files that could not be read, of which nothing is concluded. Nor is anything from a walk that is
// not complete.
struct WalkFinished {
  model::Coverage coverage;
  bool complete = false;
  std::vector<model::Path> unread;  // at most limits::kMaxUnreadPaths
};
struct CoverageSeen {
  model::Coverage coverage;
};

using Observation = std::variant<ModelSeen, ModelHashed, ModelGone, ModelStillThere, RootsChosen,
                                 WalkStarted, WalkFinished, CoverageSeen>;

}  // namespace weighmaster::agent::sensors
