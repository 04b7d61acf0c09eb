#pragma once

#include <string>

#include "policy/base/time.h"

namespace weighmaster::base {

// "3 days", "5 hours", "40 minutes": how far off, as fine as a person needs to find a clock that is
// wrong. Begun minutes count whole; the sign is the sentence's business.
std::string InWords(Duration time);

}  // namespace weighmaster::base
