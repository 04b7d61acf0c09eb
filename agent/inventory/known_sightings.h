#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "agent/sensors/known_files.h"
#include "policy/base/result.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::agent::inventory {

// The inventory's table of sightings as sensor threads may ask it: over a read-only connection of
// its own to the same file, which in WAL mode neither waits for the loop's transactions nor holds
// them up. It answers from the last commit; a file that can't be read answers "nothing known",
// which costs one more look at the file and nothing else.
//
// Any thread; `mutex_` serialises them, because a connection is one thread's at a time. The tables
// must be there (Inventory::Open) before it is opened.
class KnownSightings final : public sensors::KnownFiles {
 public:
  static base::Result<std::unique_ptr<KnownSightings>> Open(const std::string& state_path);

  std::optional<sensors::KnownFile> Find(const model::Path& path,
                                         const sensors::FileStamp& stamp) override;
  bool HasModelAt(const model::Path& path) override;

 private:
  explicit KnownSightings(std::unique_ptr<sqlite::Database> database)
      : database_(std::move(database)) {}
  base::Result<std::optional<sensors::KnownFile>> TryFind(const model::Path& path,
                                                          const sensors::FileStamp& stamp);

  std::mutex mutex_;
  const std::unique_ptr<sqlite::Database> database_;  // guarded by mutex_
};

}  // namespace weighmaster::agent::inventory
