#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/base/time.h"
#include "policy/model/artifact.h"
#include "policy/model/path.h"
#include "policy/model/weights.h"

namespace weighmaster::model {

// Opaque bytes that name a file on its endpoint whatever its path: a kind byte, then what the file
// system gives (docs/formats/file-identity.md). Equal bytes mean hard links of one file.
struct FileIdentity {
  std::string bytes;
  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

// A user by id and name: on POSIX the uid in decimal, on Windows the SID. The name may be empty.
struct User {
  std::string id;
  std::string name;
  friend bool operator==(const User&, const User&) = default;
};

// An artifact at a path on an endpoint, as it was last seen. The path is its key on the endpoint.
struct Sighting {
  Path path;
  FileIdentity identity;
  std::uint64_t size_bytes = 0;
  base::WallTime modified_at;  // the file's mtime
  User owner;
  Facts facts;
  ContentDigest digest;
  // Over the tensors alone, the same for every packing of the same weights; known only when all of
  // them were read.
  std::optional<Sha256> weights_digest = {};
  WeightsReason weights_reason = WeightsReason::kNone;  // why there is none
  friend bool operator==(const Sighting&, const Sighting&) = default;
};

// How well one root was looked at. "Could not look" is never shown as "none".
enum class CoverageState : std::uint8_t { kLooked = 1, kPartly = 2, kCouldNot = 3 };
std::string_view CoverageStateName(CoverageState state);  // "looked", "partly", "could_not"

// How changes below a root come to be seen.
enum class ChangeDetection : std::uint8_t { kEvents = 1, kWalksOnly = 2 };
std::string_view ChangeDetectionName(ChangeDetection detection);  // "events", "walks_only"

enum class CoverageReason : std::uint8_t {
  kNone = 0,
  kNotMounted = 1,
  kPermission = 2,        // `detail` counts the folders
  kRemoteFileSystem = 3,  // network file systems are not walked unless configured
  kPseudoFileSystem = 4,
  kUnderWay = 5,           // the walk has not finished
  kSmallFilesPending = 6,  // files under min_size are still to be looked at
  kIoError = 7,
  kExcluded = 8,       // by configuration
  kNoFileHandles = 9,  // identity rests on device and inode for this boot only
  kLimit = 10,         // a limit was reached; `detail` says which
  kRootRemoved = 11,   // no root any more: this coverage is the last word of it
};
std::string_view CoverageReasonName(CoverageReason reason);

struct Coverage {
  std::string sensor;  // "artifacts"
  Path root;           // the root or mount it speaks of
  CoverageState state = CoverageState::kCouldNot;
  CoverageReason reason = CoverageReason::kNone;
  std::string detail;
  ChangeDetection detection = ChangeDetection::kWalksOnly;
  std::uint64_t files_seen = 0;
  std::uint64_t files_failed = 0;  // seen in a folder and not readable
  friend bool operator==(const Coverage&, const Coverage&) = default;
};

}  // namespace weighmaster::model
