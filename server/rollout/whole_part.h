#pragma once

#include <string>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "server/store/store.h"

namespace weighmaster::server::rollout {

// A stored part, all pieces of it. NOT_FOUND when there is none of this digest.
base::Result<std::string> ReadWholePart(store::Queries& queries, const model::Sha256& part);

}  // namespace weighmaster::server::rollout
