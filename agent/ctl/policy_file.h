#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "policy/base/result.h"
#include "policy/engine/policy.h"

namespace weighmaster::agent::ctl {

// The policy document in `path`, or the starter policy "observe" for "". Prints every diagnostic on
// `err`; null when there are errors.
base::Result<std::shared_ptr<const engine::Policy>> LoadScanPolicy(const std::string& path,
                                                                   std::ostream& err);

}  // namespace weighmaster::agent::ctl
