#pragma once

#include "policy/base/result.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Inside the caller's transaction. A change of a finding is also one of `changes`.

base::Status ApplyFinding(sqlite::Database& database, const FindingChange& change);
// See Store::UpdateFinding.
base::Status CommentFinding(sqlite::Database& database, std::uint64_t id,
                            const FindingComment& comment);
base::Result<std::vector<FindingComment>> ReadComments(sqlite::Database& database,
                                                       std::uint64_t finding);
// Whether the endpoint has findings that are to be worked on.
base::Result<bool> HasOpenFindings(sqlite::Database& database, const model::Id& endpoint);

}  // namespace weighmaster::server::store
