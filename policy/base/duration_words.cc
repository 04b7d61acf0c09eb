#include "policy/base/duration_words.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <utility>

namespace weighmaster::base {

std::string InWords(Duration time) {
  const auto minutes = std::chrono::ceil<std::chrono::minutes>(std::chrono::abs(time)).count();
  constexpr std::int64_t kHour = 60;
  constexpr std::int64_t kDay = 24 * kHour;
  if (minutes >= 2 * kDay) return std::to_string(minutes / kDay) + " days";
  if (minutes >= 2 * kHour) return std::to_string(minutes / kHour) + " hours";
  return std::to_string(minutes) + " minutes";
}

Result<Duration> ParseDuration(std::string_view text) {
  using std::chrono::seconds;
  constexpr std::int64_t kDay = 86'400;
  constexpr std::pair<char, std::int64_t> kUnits[] = {
      {'s', 1}, {'m', 60}, {'h', 3'600}, {'d', kDay}};
  const std::string quoted = "\"" + std::string(text) + "\"";
  const Error wrong =
      InvalidArgument(quoted + " is no duration; write a number and s, m, h or d, e.g. 7d");
  if (text.empty()) return wrong;
  const auto* unit = std::ranges::find(kUnits, text.back(), &std::pair<char, std::int64_t>::first);
  if (unit == std::end(kUnits)) return wrong;
  text.remove_suffix(1);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool is_read = error == std::errc() || error == std::errc::result_out_of_range;
  if (!is_read || end != text.data() + text.size() || text.front() == '-') return wrong;
  constexpr std::int64_t kMost = 100 * 365 * kDay;
  if (error != std::errc() || count > kMost / unit->second) {
    return OutOfRange(quoted + " is too long; at most " + std::to_string(kMost / kDay) + "d");
  }
  return Duration(seconds(count * unit->second));
}

}  // namespace weighmaster::base
