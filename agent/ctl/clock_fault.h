#pragma once

#include <string>

namespace weighmaster::local::v1 {
class StatusAnswer;
}  // namespace weighmaster::local::v1

namespace weighmaster::agent::ctl {

// By how much this machine's clock is off the server's, in which direction, and what to do; "" up
// to limits::kMaxClockOffset.
std::string ClockFault(const local::v1::StatusAnswer& status);

}  // namespace weighmaster::agent::ctl
