#pragma once

#include <memory>
#include <string>

#include "server/store/store.h"

namespace weighmaster::bench {

// A year of a large fleet: 10,000 endpoints with 1,000,000 models that are there and 200,000 that
// went, told in 5,000,000 events, the first at tests::kTestEpoch.
inline constexpr int kBigEndpoints = 10'000;

// Opens the store of `folder`, or makes it there through the server's own ingest, which takes
// minutes. One that another schema has made stays aside.
std::unique_ptr<server::store::Store> OpenBigStore(const std::string& folder);

}  // namespace weighmaster::bench
