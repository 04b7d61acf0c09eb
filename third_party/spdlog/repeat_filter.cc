#include "third_party/spdlog/repeat_filter.h"

#include <algorithm>

#include "policy/base/limits.h"

namespace weighmaster::logging {

namespace limits = base::limits;

RepeatFilter::Decision RepeatFilter::Admit(const std::string& line, Time now) {
  Decision decision;
  auto entry = seen_.find(line);
  if (entry == seen_.end()) {
    decision.forgotten = MakeRoom();
    entry = seen_.emplace(line, Seen{now}).first;
  }
  Seen& seen = entry->second;
  if (now - seen.window_start >= limits::kLogRepeatWindow) {
    decision.left_out = seen.left_out;
    seen = Seen{now};
  }
  decision.write = seen.written < limits::kMaxLogRepeats;
  ++(decision.write ? seen.written : seen.left_out);
  return decision;
}

std::optional<RepeatFilter::Forgotten> RepeatFilter::MakeRoom() {
  if (seen_.size() < limits::kMaxLogLinesRemembered) return std::nullopt;
  const auto oldest = std::min_element(
      seen_.begin(), seen_.end(),
      [](const auto& a, const auto& b) { return a.second.window_start < b.second.window_start; });
  Forgotten forgotten{oldest->first, oldest->second.left_out};
  seen_.erase(oldest);
  if (forgotten.count == 0) return std::nullopt;
  return forgotten;
}

}  // namespace weighmaster::logging
