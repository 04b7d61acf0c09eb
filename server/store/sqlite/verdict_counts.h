#pragma once

#include <cstdint>
#include <optional>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/store/sqlite/scope/snapshot.h"
#include "server/store/values.h"

namespace weighmaster::server::store {

// How many sightings have which verdict: of one endpoint, or of all; now (no moment), or what was
// so at a moment. Of a moment each is looked at that was judged again since.
base::Result<VerdictCounts> CountVerdictsAt(const Snapshot& snapshot,
                                            std::optional<std::int64_t> endpoint,
                                            std::optional<base::WallTime> moment);
// Of all, without those by audit rule.
base::Result<VerdictCounts> CountVerdictsNow(const Snapshot& snapshot);

}  // namespace weighmaster::server::store
