#include "server/rollout/exception_rollout.h"

#include <gtest/gtest.h>

#include <optional>

#include "policy/base/limits.h"
#include "tests/server/server_world.h"

namespace weighmaster::server::rollout {
namespace {

class ExceptionRolloutTest : public ::testing::Test {
 protected:
  ExceptionRolloutTest() {
    world_.exceptions_.Subscribe([this](const auto&) { ++told_; });
  }

  base::Status Publish(const wire::SignedDocument& document) {
    std::optional<base::Status> outcome;
    world_.exceptions_.Publish(store::Scope::WholeFleet(), document, {tests::TestId(9), "ada"},
                               [&](const auto& published) {
                                 outcome = published.has_value() ? base::Status()
                                                                 : base::Status(published.error());
                               });
    world_.loop_.RunReady();
    return outcome.value_or(base::Internal("there was no answer"));
  }
  static wire::SignedDocument Set(std::uint64_t version) {
    return tests::SignExceptions(tests::MakeExceptionSet(version, {}));
  }

  tests::ServerWorld world_;
  int told_ = 0;
};

TEST_F(ExceptionRolloutTest, HoldsTheFleetsNewestAndTellsOfEach) {
  EXPECT_EQ(world_.exceptions_.fleet(), nullptr);
  EXPECT_TRUE(Publish(Set(1)).has_value());
  EXPECT_TRUE(Publish(Set(2)).has_value());
  EXPECT_EQ(world_.exceptions_.fleet()->set.version, 2U);
  EXPECT_EQ(told_, 2);
  EXPECT_EQ(Publish(Set(2 + 2)).error().code(), base::ErrorCode::kAborted);
  ExceptionRollout next(world_.loop_, world_.loop_, world_.executor_, world_.executor_,
                        *world_.store_, world_.rollout_);
  ASSERT_TRUE(next.Load(*world_.queries_).has_value());
  EXPECT_EQ(next.fleet()->set.version, 2U) << "after a restart";
}

TEST_F(ExceptionRolloutTest, TakesNothingThatEndpointsWouldRefuse) {
  wire::SignedDocument unsigned_set = Set(1);
  unsigned_set.signatures.clear();
  EXPECT_EQ(Publish(unsigned_set).error().code(), base::ErrorCode::kFailedPrecondition);
  model::ExceptionSet set = tests::MakeExceptionSet(1, {});
  set.issued = world_.loop_.Now() + base::limits::kMaxClockOffset + std::chrono::seconds(1);
  EXPECT_EQ(Publish(tests::SignExceptions(set)).error().code(),
            base::ErrorCode::kFailedPrecondition);
  set = tests::MakeExceptionSet(1, {});
  set.fleet_id = std::string(32, 'a');
  EXPECT_EQ(Publish(tests::SignExceptions(set)).error().code(),
            base::ErrorCode::kFailedPrecondition);
  EXPECT_EQ(told_, 0);
  EXPECT_EQ(world_.exceptions_.fleet(), nullptr);
}

}  // namespace
}  // namespace weighmaster::server::rollout
