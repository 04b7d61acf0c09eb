#pragma once

#include <cstdint>
#include <optional>

#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Queries::ListChanges reads what these wrote, in the transaction that made the change; the newest
// limits::kMaxChangesKept of it. The position is given here.
base::Status AddChange(sqlite::Database& database, const Change& change);
base::Result<ChangePage> ReadChanges(sqlite::Database& database, std::optional<std::uint64_t> after,
                                     std::size_t size);

}  // namespace weighmaster::server::store
