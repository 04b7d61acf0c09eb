#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/base/result.h"
#include "server/store/sqlite/scope/snapshot.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// What people work with: findings with what was said of them, and what changed. Inside the caller's
// transaction. A change of a finding is also one of `changes`.

base::Status ApplyFinding(sqlite::Database& database, const FindingChange& change);
// See Store::UpdateFinding.
base::Status CommentFinding(sqlite::Database& database, const Scope& scope, std::uint64_t id,
                            const FindingComment& comment);
base::Result<std::vector<FindingComment>> ReadComments(sqlite::Database& database,
                                                       std::uint64_t finding);
// Whether the endpoint has findings that are to be worked on.
base::Result<bool> HasOpenFindings(sqlite::Database& database, const model::Id& endpoint);

// Queries::ListChanges reads what these wrote, in the transaction that made the change; the newest
// limits::kMaxChangesKept of it. The position is given here; it counts the changes of the whole
// fleet, so that one who sees few of them is not left behind by the others.
base::Status AddChange(sqlite::Database& database, const Change& change);
base::Result<ChangePage> ReadChanges(const Snapshot& snapshot, const ChangeQuery& query);

}  // namespace weighmaster::server::store
