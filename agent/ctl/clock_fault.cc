#include "agent/ctl/clock_fault.h"

#include "policy/base/duration_words.h"
#include "policy/base/limits.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::ctl {

std::string ClockFault(const local::v1::StatusAnswer& status) {
  const base::Duration offset(status.clock_offset_us());
  if (std::chrono::abs(offset) <= base::limits::kMaxClockOffset) return "";
  return base::InWords(offset) + (offset > base::Duration(0) ? " slow" : " fast") +
         " by the server's clock; correct the clock of this machine (turn on NTP), or of the "
         "server "
         "if that one is wrong";
}

}  // namespace weighmaster::agent::ctl
