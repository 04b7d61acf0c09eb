#include "policy/base/rate_limit.h"

#include <algorithm>

namespace weighmaster::base {

Duration RateLimit::Take(std::string_view key, Duration now) {
  const std::string name(key);
  if (whole_at_.size() >= most_ && !whole_at_.contains(name)) ForgetSome(now);
  Duration& whole_at = whole_at_[name];
  const Duration after = std::max(whole_at, now) + interval_;
  const Duration early = after - now - interval_ * burst_;
  if (early > Duration(0)) return early;
  whole_at = after;
  return Duration(0);
}

void RateLimit::ForgetSome(Duration now) {
  std::erase_if(whole_at_, [now](const auto& one) { return one.second <= now; });
  if (whole_at_.size() >= most_) whole_at_.clear();
}

}  // namespace weighmaster::base
