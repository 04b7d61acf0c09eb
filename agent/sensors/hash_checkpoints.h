#pragma once

#include <cstdint>
#include <optional>

#include "agent/sensors/known_files.h"
#include "policy/base/bytes.h"
#include "policy/base/result.h"

namespace weighmaster::agent::sensors {

// How far the hashing of one file had come. Good only while the file's stamp is still this one.
struct HashCheckpoint {
  FileStamp stamp;
  std::uint64_t offset_bytes = 0;
  base::Bytes state;  // openssl::ResumableSha256::Serialise(), about 110 bytes
  // weights::WeightsHasher::Serialise(), some 50 bytes a tensor; empty where it has no digest.
  base::Bytes weights_state;
};

// Where hashing leaves its place, so that a restart in the middle of a large file costs at most one
// interval of reading. One checkpoint a file identity. Any thread may call it; a store that fails
// costs only the resumption, so errors are counted by the sensor and never stop it.
class HashCheckpoints {
 public:
  virtual ~HashCheckpoints() = default;
  virtual base::Result<std::optional<HashCheckpoint>> Load(const model::FileIdentity& identity) = 0;
  virtual base::Status Store(const HashCheckpoint& checkpoint) = 0;
  virtual base::Status Erase(const model::FileIdentity& identity) = 0;
};

}  // namespace weighmaster::agent::sensors
