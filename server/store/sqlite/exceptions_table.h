#pragma once

#include <cstdint>
#include <vector>

#include "policy/base/result.h"
#include "server/store/sqlite/scope/snapshot.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// The table `exceptions`: what the signed sets hold, one by one, each from the set that brought it
// until one that is without it. What changes in an exception makes it another.

// Of a set that is the newest of its scope now. Inside the caller's transaction.
base::Status PutExceptions(sqlite::Database& database, const ExceptionSetRecord& record);
// Fills it from the sets of a store that had none. At each start; when it fails nothing was
// written.
base::Status FillExceptions(sqlite::Database& database);

base::Result<Page<ExceptionRow>> ReadExceptions(const Snapshot& snapshot,
                                                const ExceptionQuery& query);

// A row of `exception_sets` by its columns signed_exceptions, published_us, publisher_id,
// publisher, from the given one on.
base::Result<ExceptionSetRecord> ReadExceptionSet(const sqlite::Statement& row, int column);

}  // namespace weighmaster::server::store
