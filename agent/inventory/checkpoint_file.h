#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "agent/sensors/hash_checkpoints.h"
#include "policy/base/result.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::agent::inventory {

// Where hashing left its place, in a file of its own beside the state file
// (docs/formats/journal.md): hashing threads write it themselves, so that they never wait for the
// loop's transactions nor the loop for theirs. A cache: not synced to disk at every write, and made
// anew when it is damaged.
//
// Any thread; `mutex_` serialises them.
class CheckpointFile final : public sensors::HashCheckpoints {
 public:
  static base::Result<std::unique_ptr<CheckpointFile>> Open(const std::string& path);

  base::Result<std::optional<sensors::HashCheckpoint>> Load(
      const model::FileIdentity& identity) override;
  base::Status Store(const sensors::HashCheckpoint& checkpoint) override;
  base::Status Erase(const model::FileIdentity& identity) override;

 private:
  explicit CheckpointFile(std::unique_ptr<sqlite::Database> database)
      : database_(std::move(database)) {}
  static base::Result<std::unique_ptr<CheckpointFile>> TryOpen(const std::string& path);

  std::mutex mutex_;
  const std::unique_ptr<sqlite::Database> database_;  // guarded by mutex_
};

}  // namespace weighmaster::agent::inventory
