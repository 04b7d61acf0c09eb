#include <ctime>

#include "third_party/posix/system_clock.h"

namespace weighmaster::posix {

base::WallTime SystemClock::Now() const {
  return std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
}

base::BootTime SystemClock::SinceBoot() const {
  struct timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return {std::chrono::seconds(now.tv_sec) +
          std::chrono::duration_cast<base::Duration>(std::chrono::nanoseconds(now.tv_nsec))};
}

}  // namespace weighmaster::posix
