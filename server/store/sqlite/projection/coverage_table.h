#pragma once

#include <cstdint>
#include <string_view>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "policy/model/sighting.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// The newest word on each root, in the table `coverage`, and those before it with their intervals,
// in `past_coverage`, the newest limits::kMaxPastIntervals of a root. Inside the transaction of the
// caller. A clock that went back makes no word older than the one that it replaces: intervals of
// one root never overlap.

// Which row: of an endpoint, by its small number.
struct CoverageKey {
  std::int64_t endpoint = 0;
  std::string_view sensor;
  model::Sha256 root_sha256;
};

// `blob` is the serialised v1::Coverage.
base::Status PutCoverage(sqlite::Database& database, const CoverageKey& key, base::WallTime time,
                         const model::Coverage& coverage, std::string_view blob);
base::Status DropCoverage(sqlite::Database& database, const CoverageKey& key, base::WallTime time);
base::Status DropAllCoverage(sqlite::Database& database, std::int64_t endpoint,
                             base::WallTime time);

}  // namespace weighmaster::server::store
