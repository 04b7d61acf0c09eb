#include "agent/inventory/checkpoint_file.h"

#include <cstdio>
#include <string_view>

#include "policy/base/limits.h"

namespace weighmaster::agent::inventory {
namespace {

constexpr std::string_view kSchema[] = {
    R"(
CREATE TABLE hash_checkpoints (
  identity BLOB PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  modified_ns INTEGER NOT NULL,
  changed_ns INTEGER NOT NULL,
  offset_bytes INTEGER NOT NULL,
  state BLOB NOT NULL
) STRICT;
)",
    R"(
ALTER TABLE hash_checkpoints ADD COLUMN weights_state BLOB NOT NULL DEFAULT x'';
)"};

}  // namespace

base::Result<std::unique_ptr<CheckpointFile>> CheckpointFile::TryOpen(const std::string& path) {
  sqlite::OpenOptions options;
  options.durable = false;
  options.cache_kib = 256;
  WM_ASSIGN_OR_RETURN(std::unique_ptr<sqlite::Database> database,
                      sqlite::Database::Open(path, options));
  WM_RETURN_IF_ERROR(database->Migrate("hash_checkpoints", kSchema));
  return std::unique_ptr<CheckpointFile>(new CheckpointFile(std::move(database)));
}

base::Result<std::unique_ptr<CheckpointFile>> CheckpointFile::Open(const std::string& path) {
  auto opened = TryOpen(path);
  if (opened.has_value() || opened.error().code() != base::ErrorCode::kDataLoss) return opened;
  for (const std::string_view suffix : {"-wal", "-shm", ""}) {
    std::remove((path + std::string(suffix)).c_str());
  }
  return TryOpen(path);
}

base::Result<std::optional<sensors::HashCheckpoint>> CheckpointFile::Load(
    const model::FileIdentity& identity) {
  const std::lock_guard lock(mutex_);
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement find,
      database_->Prepare("SELECT size_bytes, modified_ns, changed_ns, offset_bytes, state, "
                         "weights_state FROM hash_checkpoints WHERE identity = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(base::AsBytes(identity.bytes)).Step());
  if (!found) return std::optional<sensors::HashCheckpoint>();
  sensors::HashCheckpoint checkpoint;
  checkpoint.stamp.identity = identity;
  checkpoint.stamp.size_bytes = static_cast<std::uint64_t>(find.Int(0));
  checkpoint.stamp.modified_ns = find.Int(1);
  checkpoint.stamp.changed_ns = find.Int(2);
  checkpoint.offset_bytes = static_cast<std::uint64_t>(find.Int(3));
  const base::ByteView state = find.Blob(4);
  checkpoint.state.assign(state.begin(), state.end());
  const base::ByteView weights_state = find.Blob(5);
  checkpoint.weights_state.assign(weights_state.begin(), weights_state.end());
  return std::optional<sensors::HashCheckpoint>(std::move(checkpoint));
}

base::Status CheckpointFile::Store(const sensors::HashCheckpoint& checkpoint) {
  const std::lock_guard lock(mutex_);
  {
    // Those of files that went away before they were hashed are never erased; the oldest go.
    WM_ASSIGN_OR_RETURN(
        sqlite::Statement forget,
        database_->Prepare("DELETE FROM hash_checkpoints WHERE rowid <= (SELECT rowid FROM "
                           "hash_checkpoints ORDER BY rowid DESC LIMIT 1 OFFSET ?)"));
    WM_RETURN_IF_ERROR(
        forget.Bind(static_cast<std::int64_t>(base::limits::kMaxHashCheckpoints) - 1).Run());
  }
  WM_ASSIGN_OR_RETURN(
      sqlite::Statement put,
      database_->Prepare("INSERT OR REPLACE INTO hash_checkpoints (identity, size_bytes, "
                         "modified_ns, changed_ns, offset_bytes, state, weights_state) "
                         "VALUES (?, ?, ?, ?, ?, ?, ?)"));
  return put.Bind(base::AsBytes(checkpoint.stamp.identity.bytes))
      .Bind(static_cast<std::int64_t>(checkpoint.stamp.size_bytes))
      .Bind(checkpoint.stamp.modified_ns)
      .Bind(checkpoint.stamp.changed_ns)
      .Bind(static_cast<std::int64_t>(checkpoint.offset_bytes))
      .Bind(base::ByteView(checkpoint.state))
      .Bind(base::ByteView(checkpoint.weights_state))
      .Run();
}

base::Status CheckpointFile::Erase(const model::FileIdentity& identity) {
  const std::lock_guard lock(mutex_);
  WM_ASSIGN_OR_RETURN(sqlite::Statement remove,
                      database_->Prepare("DELETE FROM hash_checkpoints WHERE identity = ?"));
  return remove.Bind(base::AsBytes(identity.bytes)).Run();
}

}  // namespace weighmaster::agent::inventory
