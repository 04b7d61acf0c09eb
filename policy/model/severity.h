#pragma once

#include <cstdint>
#include <string_view>

#include "policy/base/result.h"

namespace weighmaster::model {

// How grave a risk, a verdict or a finding is.
enum class Severity : std::uint8_t { kInfo = 1, kLow = 2, kMedium = 3, kHigh = 4, kCritical = 5 };
std::string_view SeverityName(Severity severity);  // "info" … "critical"
base::Result<Severity> ParseSeverity(std::string_view name);

}  // namespace weighmaster::model
