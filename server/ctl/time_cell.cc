#include "server/ctl/time_cell.h"

#include "policy/base/time.h"

namespace weighmaster::server::ctl {

std::string TimeCell(std::int64_t time_us) {
  if (time_us == 0) return "never";
  return base::FormatWallTime(base::WallTimeFromMicroseconds(time_us)).substr(0, 19) + "Z";
}

}  // namespace weighmaster::server::ctl
