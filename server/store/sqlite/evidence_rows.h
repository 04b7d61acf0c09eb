#pragma once

#include <cstdint>

#include "policy/base/result.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Queries::FindEvidence and ListBatches, inside the caller's transaction. `endpoint` is the small
// number of one that is there.
base::Result<EndpointEvidence> ReadEvidence(sqlite::Database& database, std::int64_t endpoint,
                                            const BatchRange& range);
base::Result<BatchPage> ReadBatches(sqlite::Database& database, std::int64_t endpoint,
                                    const BatchQuery& query);

}  // namespace weighmaster::server::store
