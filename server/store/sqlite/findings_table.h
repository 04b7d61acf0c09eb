#pragma once

#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Opens, counts or resolves one finding, inside the caller's transaction. A finding that had been
// resolved and is seen again is open again. One about an endpoint that is not there is passed over.
base::Status ApplyFinding(sqlite::Database& database, const FindingChange& change);

// Whether an endpoint has findings that are not resolved.
base::Result<bool> HasOpenFindings(sqlite::Database& database, const model::Id& endpoint);

}  // namespace weighmaster::server::store
