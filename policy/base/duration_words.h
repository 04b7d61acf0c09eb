#pragma once

#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "policy/base/time.h"

namespace weighmaster::base {

// "3 days", "5 hours", "40 minutes": how far off, as fine as a person needs to find a clock that is
// wrong. Begun minutes count whole; the sign is the sentence's business.
std::string InWords(Duration time);

// A length of time as a person writes it: a whole number and s, m, h or d, e.g. "90s", "7d"; at
// most a hundred years (OUT_OF_RANGE past that). The error says what was meant.
Result<Duration> ParseDuration(std::string_view text);

}  // namespace weighmaster::base
