#pragma once

#include <string_view>

#include "policy/base/result.h"
#include "policy/base/time.h"

namespace weighmaster::lang {

// A length of time as a person writes it: a whole number and s, m, h or d, e.g. "90s", "7d"; at
// most a hundred years. The error says what was meant.
base::Result<base::Duration> ParseDuration(std::string_view text);

}  // namespace weighmaster::lang
