#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "agent/ctl/commands.h"
#include "tests/agent/ctl/telling_agent.h"

namespace weighmaster::agent::ctl {
namespace {

constexpr std::int64_t kDayUs = 86'400'000'000;

std::string StatusOf(const local::v1::StatusAnswer& status) {
  const tests::TellingAgent agent(status);
  std::ostringstream out;
  std::ostringstream err;
  const auto code = ShowStatus(agent.socket(), {out, err});
  EXPECT_TRUE(code.has_value() && *code == ExitCode::kOk) << err.str();
  return out.str();
}

local::v1::StatusAnswer Connected() {
  local::v1::StatusAnswer status;
  status.set_endpoint_id("0102");
  status.set_server_address("weighmaster.example.org:8443");
  status.set_connected(true);
  return status;
}

TEST(ShowStatus, SaysThatTheClockIsOff) {
  local::v1::StatusAnswer status = Connected();
  status.set_clock_offset_us(-2 * kDayUs);
  EXPECT_NE(
      StatusOf(status).find("\nclock     2 days fast by the server's clock; correct the clock"),
      std::string::npos)
      << StatusOf(status);
}

TEST(ShowStatus, SaysNothingOfAClockThatIsRight) {
  local::v1::StatusAnswer status = Connected();
  status.set_clock_offset_us(1'000'000);
  const std::string shown = StatusOf(status);
  EXPECT_NE(shown.find("server    connected to weighmaster.example.org:8443 as 0102\n"),
            std::string::npos)
      << shown;
  EXPECT_EQ(shown.find("clock"), std::string::npos) << shown;
}

TEST(ShowStatus, SaysWhatTheServerHasNotHeardOfYet) {
  local::v1::StatusAnswer status = Connected();
  status.set_batches_unacknowledged(2);
  status.set_events_pending(7);
  EXPECT_NE(StatusOf(status).find("2 batches wait for the server, 7 events for the next, "),
            std::string::npos)
      << StatusOf(status);
}

TEST(ShowStatus, SaysWhoseEachSettingIs) {
  local::v1::StatusAnswer status = Connected();
  for (const auto source : {local::v1::SETTING_SOURCE_DEFAULT, local::v1::SETTING_SOURCE_FILE,
                            local::v1::SETTING_SOURCE_POLICY}) {
    local::v1::EffectiveSetting& setting = *status.add_settings();
    setting.set_name("cpu_percent");
    setting.set_value(std::to_string(source));
    setting.set_source(source);
  }
  EXPECT_NE(StatusOf(status).find("\nsetting   cpu_percent 1, by default\n"
                                  "setting   cpu_percent 2, by the settings file\n"
                                  "setting   cpu_percent 3, by the last policy\n"),
            std::string::npos)
      << StatusOf(status);
  status.set_policy_version(9);
  EXPECT_NE(StatusOf(status).find("cpu_percent 3, by policy version 9\n"), std::string::npos);
}

}  // namespace
}  // namespace weighmaster::agent::ctl
