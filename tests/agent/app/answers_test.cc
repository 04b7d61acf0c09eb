#include "agent/app/answers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "policy/base/limits.h"
#include "tests/agent/app/issuer.h"
#include "tests/agent/rooms.h"
#include "tests/agent/sightings.h"
#include "tests/support/fake_server.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::app {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class AnswersTest : public testing::Test {
 protected:
  AnswersTest() {
    EXPECT_TRUE(rooms_.policy->InstallRoot(tests::MakeTestFleet().signed_root).has_value());
    rooms_.folder.Write("token", wire::FormatToken(issuer_.Token()));
    machine_.hostname = "host";
    enrolling_.emplace(
        Enrolling::Rooms{rooms_.loop, executor_, rooms_.loop, rooms_.random, rooms_.key, issuer_},
        rooms_.folder.path(), TokenSource{rooms_.folder / "token", ""}, machine_,
        [this](const EnrolledIdentity& identity) { StartSession(identity); });
  }

  void StartSession(const EnrolledIdentity& identity) {
    session_.emplace(
        sync::Session::Rooms{rooms_.loop, rooms_.loop, rooms_.random, server_, *rooms_.journal,
                             *rooms_.events, *rooms_.policy, rooms_.key},
        sync::Endpoint{identity.endpoint_id, "host", "linux", "12", "0.1", model::Sha256{}});
    session_->Start();
  }
  Answers MakeAnswers() {
    return Answers({*rooms_.inventory, *rooms_.journal, *rooms_.policy, intake_, sensor_,
                    *enrolling_, settings_},
                   [this] { return session_.has_value() ? &*session_ : nullptr; });
  }
  local::v1::StatusAnswer Status() {
    local::v1::StatusAnswer answer;
    EXPECT_TRUE(MakeAnswers().Status(answer).has_value());
    return answer;
  }

  tests::AgentRooms rooms_;
  tests::SimExecutor executor_{rooms_.loop};
  tests::Issuer issuer_{rooms_.loop};
  tests::FakeServer server_{rooms_.loop, rooms_.key.public_key()};
  os::Machine machine_;
  inventory::Intake intake_{rooms_.loop, *rooms_.inventory};
  sensors::NothingKnown nothing_known_;
  sensors::NoCheckpoints no_checkpoints_;
  sensors::ArtifactSensor sensor_{
      {},
      {rooms_.loop, rooms_.random, executor_,
       [](std::span<const cage::CageFile>) { return std::vector<model::Facts>(); },
       [](int, std::uint64_t) {
         return formats::TensorMap::Without(model::WeightsReason::kNotSupported);
       },
       nothing_known_, no_checkpoints_, intake_}};
  Settings settings_;
  std::optional<Enrolling> enrolling_;
  std::optional<sync::Session> session_;
};

TEST_F(AnswersTest, TellWhyTheEndpointIsNotEnrolled) {
  issuer_.refusal = base::Unauthenticated("the enrolment token is used up");
  enrolling_->Start(std::nullopt);
  rooms_.loop.RunFor(seconds(1));
  const local::v1::StatusAnswer status = Status();
  EXPECT_EQ(status.endpoint_id(), "");
  EXPECT_FALSE(status.connected());
  EXPECT_EQ(status.connection_detail(), "the enrolment token is used up");
  EXPECT_EQ(status.clock_offset_us(), 0);
}

TEST_F(AnswersTest, TellTheConnectionAndHowFarTheClockIsOff) {
  server_.clock_offset = hours(24);
  enrolling_->Start(std::nullopt);
  rooms_.loop.RunFor(seconds(1));
  local::v1::StatusAnswer status = Status();
  EXPECT_EQ(status.endpoint_id(), tests::Issuer::kEndpoint.ToHex());
  EXPECT_EQ(status.server_address(), issuer_.Token().address);
  EXPECT_TRUE(status.connected());
  EXPECT_EQ(status.connection_detail(), "");
  EXPECT_GT(status.last_contact_time_us(), 0);
  EXPECT_EQ(base::Duration(status.clock_offset_us()), hours(24));

  server_.reachable = false;
  server_.Cut(base::Unavailable("the network broke"));
  rooms_.loop.RunFor(std::chrono::milliseconds(100));
  status = Status();
  EXPECT_FALSE(status.connected());
  EXPECT_NE(status.connection_detail(), "");
  EXPECT_EQ(base::Duration(status.clock_offset_us()), hours(24)) << "the clock is as it was";
}

TEST_F(AnswersTest, CountWhatTheStatusHasNoRoomFor) {
  constexpr std::uint64_t kRoots = 1'000;
  std::vector<sensors::Observation> many;
  for (std::uint64_t i = 0; i < kRoots; ++i) {
    sensors::CoverageSeen seen;
    seen.coverage.sensor = "artifacts";
    seen.coverage.root.bytes = "/" + std::to_string(i) + std::string(4'000, 'x');
    many.emplace_back(seen);
  }
  ASSERT_TRUE(rooms_.inventory->Apply(many).has_value());
  const local::v1::StatusAnswer status = Status();
  EXPECT_LT(status.ByteSizeLong(), base::limits::kMaxControlAnswerBytes);
  EXPECT_GT(status.coverage_size(), 100);
  EXPECT_EQ(static_cast<std::uint64_t>(status.coverage_size()) + status.coverage_left_out(),
            kRoots);
}

TEST_F(AnswersTest, TellTheSettingsThatHoldAndWhoseTheyAre) {
  settings_.scan.cpu_percent = 20;
  rooms_.judge->Set(engine::Policy::None({model::Withheld::kOwner}));
  const local::v1::StatusAnswer status = Status();
  ASSERT_EQ(status.settings_size(), 6);
  EXPECT_EQ(status.settings(0).source(), local::v1::SETTING_SOURCE_DEFAULT);
  EXPECT_EQ(status.settings(2).name(), "cpu_percent");
  EXPECT_EQ(status.settings(2).value(), "20");
  EXPECT_EQ(status.settings(2).source(), local::v1::SETTING_SOURCE_FILE);
  EXPECT_EQ(status.settings(5).name(), "withheld");
  EXPECT_EQ(status.settings(5).source(), local::v1::SETTING_SOURCE_POLICY);
}

TEST_F(AnswersTest, TellTheExceptionOfAFileThatAnotherRuleStillCatches) {
  const sensors::ModelSeen seen = tests::Seen("/models/a.gguf");
  ASSERT_TRUE(rooms_.inventory->Apply(std::vector<sensors::Observation>{seen}).has_value());
  model::RuleSet rules;
  rules.rules.resize(2);
  rules.rules[0].id = "too-new";
  rules.rules[1].id = "too-big";
  model::Exception exception;
  exception.id.bytes[0] = 7;
  exception.digest = *seen.sighting.digest.sha256;
  exception.overrides = "too-new";
  exception.reason = "Legal has looked at it.";
  exception.expires = rooms_.loop.Now() + hours(1);
  rooms_.judge->Set(engine::Policy::Make(1, rules, nullptr, {exception}).value());
  local::v1::WhyAnswer answer;
  ASSERT_TRUE(MakeAnswers().Why(seen.sighting.path, answer).has_value());
  EXPECT_EQ(answer.verdict().rule(), "too-big");
  ASSERT_EQ(answer.exceptions_size(), 1);
  EXPECT_EQ(answer.exceptions(0).exception_id(), exception.id.ToHex());
  EXPECT_EQ(answer.exceptions(0).overrides(), "too-new");
  EXPECT_EQ(answer.exceptions(0).reason(), "Legal has looked at it.");
  EXPECT_EQ(answer.exceptions(0).expires_time_us(), base::ToMicroseconds(exception.expires));
}

}  // namespace
}  // namespace weighmaster::agent::app
