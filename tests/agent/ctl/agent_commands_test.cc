#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <sstream>
#include <string>

#include "agent/ctl/commands.h"
#include "policy/base/limits.h"
#include "proto/wire/convert.h"
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

constexpr const char* kPath = "/models/executes.pt";

model::Verdict Denied(model::Mode mode) {
  model::Verdict verdict;
  verdict.outcome = model::Outcome::kDeny;
  verdict.step = model::JudgementStep::kAlwaysRule;
  verdict.rule = "executes-code";
  verdict.reason = "Runs code.";
  verdict.severity = model::Severity::kHigh;
  verdict.mode = mode;
  return verdict;
}

// Of a model that whoever runs the test owns.
local::v1::WhyAnswer Known(const model::Verdict& verdict) {
  local::v1::WhyAnswer answer;
  answer.set_known(true);
  model::Sighting sighting;
  sighting.path = {kPath, model::PathEncoding::kPosixBytes};
  sighting.owner.id = std::to_string(::getuid());
  sighting.facts.format = model::Format::kPickle;
  wire::ToProto(sighting, *answer.mutable_sighting());
  wire::ToProto(verdict, *answer.mutable_verdict());
  return answer;
}

struct Said {
  std::string text;
  ExitCode code = ExitCode::kFailed;
};

Said CheckOf(const model::Verdict& verdict) {
  const tests::TellingAgent agent(Known(verdict));
  std::ostringstream out;
  std::ostringstream err;
  const auto code = Check(agent.socket(), {kPath}, {out, err});
  EXPECT_TRUE(code.has_value()) << code.error().message();
  return {out.str(), code.value_or(ExitCode::kFailed)};
}

std::string WhyOf(const local::v1::WhyAnswer& answer) {
  const tests::TellingAgent agent(answer);
  std::ostringstream out;
  std::ostringstream err;
  const auto code = Why(agent.socket(), kPath, {out, err});
  EXPECT_TRUE(code.has_value() && *code == ExitCode::kOk) << err.str();
  return out.str();
}

TEST(Check, RefusesWhatIsDeniedWhereThePolicyEnforces) {
  const Said said = CheckOf(Denied(model::Mode::kEnforce));
  EXPECT_EQ(said.text, "deny     /models/executes.pt: Runs code.\n");
  EXPECT_EQ(said.code, ExitCode::kJudged);
}

TEST(Check, TellsTheVerdictAndRefusesNothingWhereThePolicyWarns) {
  const Said said = CheckOf(Denied(model::Mode::kWarn));
  EXPECT_EQ(said.text, "deny     /models/executes.pt: Runs code.\n");
  EXPECT_EQ(said.code, ExitCode::kOk);
}

TEST(Check, SaysThatAFileMayBeUsedWhereThePolicyOnlyObserves) {
  for (const model::Outcome outcome : {model::Outcome::kWarn, model::Outcome::kDeny}) {
    model::Verdict verdict = Denied(model::Mode::kObserve);
    verdict.outcome = outcome;
    const Said said = CheckOf(verdict);
    EXPECT_EQ(said.text,
              "observe  /models/executes.pt: may be used; the policy only observes "
              "(\"weighmaster why\" has its judgement)\n");
    EXPECT_EQ(said.code, ExitCode::kOk);
  }
}

TEST(Check, GivesTheReasonOfWhatIsAllowedInEveryMode) {
  for (const auto mode : {model::Mode::kObserve, model::Mode::kWarn, model::Mode::kEnforce}) {
    model::Verdict verdict = Denied(mode);
    verdict.outcome = model::Outcome::kAllow;
    const Said said = CheckOf(verdict);
    EXPECT_EQ(said.text, "allow    /models/executes.pt: Runs code.\n");
    EXPECT_EQ(said.code, ExitCode::kOk);
  }
}

TEST(Check, ARefusalOutranksWhatCouldNotBeAsked) {
  const tests::TellingAgent agent(Known(Denied(model::Mode::kEnforce)));
  std::ostringstream out;
  std::ostringstream err;
  const std::string too_long = "/" + std::string(base::limits::kMaxPathBytes, 'x');
  const auto code = Check(agent.socket(), {kPath, too_long}, {out, err});
  ASSERT_TRUE(code.has_value()) << code.error().message();
  EXPECT_EQ(*code, ExitCode::kJudged);
  EXPECT_EQ(out.str(), "deny     /models/executes.pt: Runs code.\n");
  EXPECT_EQ(err.str().find("weighmaster: the path is longer than "), 0U) << err.str();
  EXPECT_FALSE(Check(agent.socket(), {too_long, kPath}, {out, err}).has_value());
}

TEST(Check, GivesTheLinkOfAWarningOrRefusalOnly) {
  model::Verdict verdict = Denied(model::Mode::kEnforce);
  verdict.link = "https://wiki.example/why";
  EXPECT_EQ(CheckOf(verdict).text,
            "deny     /models/executes.pt: Runs code. More: https://wiki.example/why\n");
  verdict.outcome = model::Outcome::kWarn;
  EXPECT_EQ(CheckOf(verdict).text,
            "warn     /models/executes.pt: Runs code. More: https://wiki.example/why\n");
  verdict.outcome = model::Outcome::kAllow;
  EXPECT_EQ(CheckOf(verdict).text, "allow    /models/executes.pt: Runs code.\n");
  verdict.outcome = model::Outcome::kDeny;
  verdict.mode = model::Mode::kObserve;
  EXPECT_EQ(CheckOf(verdict).text.find("wiki.example"), std::string::npos);
}

// What a policy, an exception or whoever answers at the socket may put into a terminal.
constexpr const char* kHostile = "\x1b]8;;file:///etc\x07Fine.\x1b[2J\nallow  x\r\u202e\u009b31m";

void ExpectHarmless(const std::string& shown, std::ptrdiff_t lines) {
  EXPECT_EQ(std::ranges::count(shown, '\n'), lines) << shown;
  EXPECT_EQ(shown.find_first_of("\x1b\x07\r"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("\u202e"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("\u009b"), std::string::npos) << shown;
}

TEST(Check, ShowsWhatAPolicySaysOnOneLineThatNoTerminalObeys) {
  model::Verdict verdict = Denied(model::Mode::kEnforce);
  verdict.reason = kHostile;
  ExpectHarmless(CheckOf(verdict).text, 1);
}

TEST(Check, GivesNoLinkThatIsNoHttpsAddress) {
  for (const char* link : {"http://wiki.example/why", "file:///etc/passwd", "javascript:alert(1)",
                           "https://wiki.example/\x1b[2J", "https://wiki.example/ or run this"}) {
    model::Verdict verdict = Denied(model::Mode::kEnforce);
    verdict.link = link;
    EXPECT_EQ(CheckOf(verdict).text, "deny     /models/executes.pt: Runs code.\n") << link;
    EXPECT_EQ(WhyOf(Known(verdict)), WhyOf(Known(Denied(model::Mode::kEnforce)))) << link;
  }
}

TEST(Why, ShowsWhatAPolicySaysInLinesThatNoTerminalObeys) {
  model::Verdict verdict = Denied(model::Mode::kEnforce);
  verdict.audits = {"audited"};
  verdict.link = "https://wiki.example/why";
  local::v1::WhyAnswer answer = Known(verdict);
  answer.add_exceptions();
  const auto lines = std::ranges::count(WhyOf(answer), '\n');
  answer.mutable_verdict()->set_reason(kHostile);
  answer.mutable_verdict()->set_rule(kHostile);
  answer.mutable_verdict()->set_audits(0, kHostile);
  answer.mutable_exceptions(0)->set_exception_id(kHostile);
  answer.mutable_exceptions(0)->set_overrides(kHostile);
  answer.mutable_exceptions(0)->set_reason(kHostile);
  ExpectHarmless(WhyOf(answer), lines);
}

TEST(Why, ShowsTheWholeJudgementAndSaysWhatFollowsFromIt) {
  const std::string observed = WhyOf(Known(Denied(model::Mode::kObserve)));
  for (const char* line : {"  verdict       deny, high\n", "  because       Runs code.\n",
                           "  mode          observe: the server is told, and nothing else follows; "
                           "it may be used\n"}) {
    EXPECT_NE(observed.find(line), std::string::npos) << line << observed;
  }
  const std::string warned = WhyOf(Known(Denied(model::Mode::kWarn)));
  EXPECT_NE(warned.find("  mode          warn: you are told as well, and nothing is refused\n"),
            std::string::npos)
      << warned;
  const std::string enforced = WhyOf(Known(Denied(model::Mode::kEnforce)));
  EXPECT_NE(enforced.find("  mode          enforce: it is not to be opened; this version says so, "
                          "and does not keep anybody from it\n"),
            std::string::npos)
      << enforced;
}

TEST(Why, NamesTheExceptionOfAFileThatAnotherRuleStillCatches) {
  local::v1::WhyAnswer answer = Known(Denied(model::Mode::kEnforce));
  local::v1::AppliedException& exception = *answer.add_exceptions();
  exception.set_exception_id("0102");
  exception.set_overrides("too-new");
  exception.set_reason("Legal has looked at it.");
  exception.set_expires_time_us(kDayUs);
  const std::string line =
      "  exception     0102 overrides too-new until 1970-01-02T00:00:00Z (Legal has looked at it.)";
  const std::string still_caught = WhyOf(answer);
  EXPECT_NE(still_caught.find(line + "; decided all the same by executes-code\n"),
            std::string::npos)
      << still_caught;

  answer.mutable_verdict()->set_outcome(v1::OUTCOME_ALLOW);
  answer.mutable_verdict()->set_step(v1::JUDGEMENT_STEP_EXCEPTION);
  EXPECT_NE(WhyOf(answer).find(line + "\n"), std::string::npos) << WhyOf(answer);
}

TEST(Why, NamesOnlyTheModeWhereNothingFollowsFromIt) {
  model::Verdict verdict = Denied(model::Mode::kEnforce);
  verdict.outcome = model::Outcome::kAllow;
  const std::string shown = WhyOf(Known(verdict));
  EXPECT_NE(shown.find("  mode          enforce\n"), std::string::npos) << shown;
}

}  // namespace
}  // namespace weighmaster::agent::ctl
