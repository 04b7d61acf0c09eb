#include "policy/lang/duration.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

namespace weighmaster::lang {

base::Result<base::Duration> ParseDuration(std::string_view text) {
  using std::chrono::seconds;
  constexpr std::int64_t kDay = 86'400;
  constexpr std::pair<char, std::int64_t> kUnits[] = {
      {'s', 1}, {'m', 60}, {'h', 3'600}, {'d', kDay}};
  const base::Error wrong = base::InvalidArgument(
      "\"" + std::string(text) + "\" is no duration; write a number and s, m, h or d, e.g. 7d");
  if (text.empty()) return wrong;
  const auto* unit = std::ranges::find(kUnits, text.back(), &std::pair<char, std::int64_t>::first);
  if (unit == std::end(kUnits)) return wrong;
  text.remove_suffix(1);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool whole = error == std::errc() && end == text.data() + text.size() && !text.empty();
  constexpr std::int64_t kMost = 100 * 365 * kDay;
  if (!whole || count < 0 || count > kMost / unit->second) return wrong;
  return base::Duration(seconds(count * unit->second));
}

}  // namespace weighmaster::lang
