#include "agent/decide/judge.h"

#include <algorithm>

namespace weighmaster::agent::decide {

base::WallTime Judge::Now() const {
  const base::Duration since = clock_.SinceBoot().since_boot - verified_at_.since_boot;
  return std::max(clock_.Now(), verified_time_ + since);
}

void Judge::NoteVerifiedTime(base::WallTime time) {
  const base::BootTime now = clock_.SinceBoot();
  if (time <= verified_time_ + (now.since_boot - verified_at_.since_boot)) return;
  verified_time_ = time;
  verified_at_ = now;
}

}  // namespace weighmaster::agent::decide
