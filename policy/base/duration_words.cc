#include "policy/base/duration_words.h"

#include <chrono>
#include <cstdint>

namespace weighmaster::base {

std::string InWords(Duration time) {
  const auto minutes = std::chrono::ceil<std::chrono::minutes>(std::chrono::abs(time)).count();
  constexpr std::int64_t kHour = 60;
  constexpr std::int64_t kDay = 24 * kHour;
  if (minutes >= 2 * kDay) return std::to_string(minutes / kDay) + " days";
  if (minutes >= 2 * kHour) return std::to_string(minutes / kHour) + " hours";
  return std::to_string(minutes) + " minutes";
}

}  // namespace weighmaster::base
