#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "agent/ctl/commands.h"
#include "tests/agent/ctl/telling_agent.h"

namespace weighmaster::agent::ctl {
namespace {

// What is said of the agent; what is said of the machine that runs this test is its own business.
std::string FoundWithOffset(std::int64_t clock_offset_us) {
  local::v1::StatusAnswer status;
  status.set_endpoint_id("0102");
  status.set_connected(true);
  status.set_clock_offset_us(clock_offset_us);
  const tests::TellingAgent agent(status);
  std::ostringstream out;
  std::ostringstream err;
  const auto code = Doctor(agent.socket(), {out, err});
  EXPECT_TRUE(code.has_value()) << err.str();
  if (out.str().find("PROBLEM ") != std::string::npos) {
    EXPECT_EQ(*code, ExitCode::kFailed);
  }
  return out.str();
}

TEST(Doctor, FindsAClockThatIsOffTheServers) {
  const std::string found = FoundWithOffset(86'400'000'000);
  EXPECT_NE(found.find("PROBLEM clock     24 hours slow by the server's clock; correct the clock"),
            std::string::npos)
      << found;
}

TEST(Doctor, FindsNothingWrongWithAClockThatIsTheServers) {
  const std::string found = FoundWithOffset(1'000'000);
  EXPECT_EQ(found.find("by the server's clock"), std::string::npos) << found;
}

}  // namespace
}  // namespace weighmaster::agent::ctl
