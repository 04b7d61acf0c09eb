#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/engine/policy.h"

namespace weighmaster::agent::ctl {

// The policy document in `path`, or the starter policy "observe" for "". Prints every diagnostic on
// `err`, as they are at `now`; null when there are errors.
base::Result<std::shared_ptr<const engine::Policy>> LoadScanPolicy(const std::string& path,
                                                                   base::WallTime now,
                                                                   std::ostream& err);

}  // namespace weighmaster::agent::ctl
