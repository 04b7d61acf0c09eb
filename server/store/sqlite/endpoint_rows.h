#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/store/sqlite/scope/snapshot.h"
#include "server/store/values.h"

namespace weighmaster::server::store {

// What the store tells of endpoints, now (no moment) or as it was at a moment.

// By its small number, which is there.
base::Result<EndpointRow> ReadEndpoint(const Snapshot& snapshot, std::int64_t endpoint,
                                       std::optional<base::WallTime> moment);

base::Result<FleetCoverage> CountCoverage(const Snapshot& snapshot,
                                          std::optional<base::WallTime> moment);

// The small number. NOT_FOUND when there is no such endpoint in the scope, or was not yet.
base::Result<std::int64_t> FindEndpointAt(const Snapshot& snapshot, const model::Id& endpoint,
                                          std::optional<base::WallTime> moment);

// Which endpoints a list's field `connected` is true of, until the next call on this connection.
base::Status KeepConnected(const Snapshot& snapshot, const std::vector<model::Id>& connected);

}  // namespace weighmaster::server::store
