#pragma once

#include <functional>

#include "policy/base/result.h"
#include "server/store/values.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// Queries::VisitPresent, inside the caller's transaction.
base::Status VisitPresentSightings(sqlite::Database& database,
                                   const std::function<void(const PresentSighting&)>& visit);

}  // namespace weighmaster::server::store
