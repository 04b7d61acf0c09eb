#include "agent/sensors/artifacts/budget.h"

#include <gtest/gtest.h>

#include "tests/support/live_loop.h"

namespace weighmaster::agent::sensors {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

base::BootTime At(base::Duration since_boot) { return {since_boot}; }

TEST(TokenBucket, HoldsItsRateOverTime) {
  TokenBucket bucket(1'000, 0);
  base::Duration now{0};
  for (int i = 0; i < 50; ++i) now += bucket.Take(100, At(now));
  // 5,000 units at 1,000 a second.
  EXPECT_NEAR(static_cast<double>(now.count()), 5e6, 1e4);
}

TEST(TokenBucket, LetsABurstThroughAndNoMoreAfterAnIdleHour) {
  TokenBucket bucket(1'000, 500);
  EXPECT_EQ(bucket.Take(500, At(seconds(0))), base::Duration{0});
  EXPECT_EQ(bucket.Take(500, At(seconds(3600))), base::Duration{0});
  EXPECT_EQ(bucket.Take(500, At(seconds(3600))), milliseconds(500));
}

TEST(TokenBucket, WithoutARateNeverWaits) {
  TokenBucket bucket(0, 0);
  EXPECT_EQ(bucket.Take(1'000'000'000, At(seconds(0))), base::Duration{0});
}

TEST(Pacer, IsInterruptedInTheMiddleOfAWait) {
  const tests::SystemClock clock;
  Budget budget;
  budget.bytes_per_second = 1;
  Pacer pacer(budget, clock, nullptr);
  std::stop_source stop;
  std::jthread stopper([&stop] { stop.request_stop(); });
  // Without the interruption this waits for a day.
  EXPECT_FALSE(pacer.Spend(86'400, base::Duration{0}, stop.get_token()));
}

TEST(Pacer, DoesNotWaitForAMachineThatIsUnwelcomingForTooLong) {
  const tests::SystemClock clock;
  Budget budget;
  budget.longest_pause = base::Duration{0};
  int asked = 0;
  Pacer pacer(budget, clock, [&asked] {
    ++asked;
    return true;
  });
  EXPECT_TRUE(pacer.Spend(1, base::Duration{0}, std::stop_token()));
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace weighmaster::agent::sensors
