#include "agent/ctl/clock_fault.h"

#include <gtest/gtest.h>

#include "policy/base/limits.h"
#include "policy/base/time.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::ctl {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// The server's clock minus this machine's.
std::string FaultOf(base::Duration offset) {
  local::v1::StatusAnswer status;
  status.set_clock_offset_us(offset.count());
  return ClockFault(status);
}

TEST(ClockFault, IsNothingWithinTheLimitEitherWay) {
  const base::Duration limit = base::limits::kMaxClockOffset;
  for (const base::Duration offset : {base::Duration(0), limit, -limit}) {
    EXPECT_EQ(FaultOf(offset), "");
  }
  EXPECT_NE(FaultOf(limit + base::Duration(1)), "");
  EXPECT_NE(FaultOf(-limit - base::Duration(1)), "");
}

TEST(ClockFault, SaysByHowMuchWhichWayAndWhatToDo) {
  EXPECT_EQ(FaultOf(hours(24)),
            "24 hours slow by the server's clock; correct the clock of this machine (turn on NTP), "
            "or of the server if that one is wrong");
  EXPECT_TRUE(FaultOf(-hours(72)).starts_with("3 days fast by the server's clock; correct"));
  EXPECT_TRUE(FaultOf(-seconds(301)).starts_with("6 minutes fast"));
}

}  // namespace
}  // namespace weighmaster::agent::ctl
