#include "agent/sensors/artifacts/budget.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "agent/os/machine.h"
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
  for (const Pause pause : {Pause::kOnBattery, Pause::kUnderLoad}) {
    Budget budget;
    (pause == Pause::kOnBattery ? budget.longest_pause_on_battery
                                : budget.longest_pause_under_load) = base::Duration{0};
    int asked = 0;
    Pacer pacer(budget, clock, [&](const Budget&) {
      ++asked;
      return pause;
    });
    EXPECT_TRUE(pacer.Spend(1, base::Duration{0}, std::stop_token()));
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(pacer.pause(), Pause::kNone);
  }
}

TEST(Pacer, TellsWhyItWaits) {
  const tests::SystemClock clock;
  std::stop_source stop;
  std::promise<void> asked;
  bool first = true;
  Pacer pacer({}, clock, [&](const Budget&) {
    if (std::exchange(first, false)) asked.set_value();
    return Pause::kUnderLoad;
  });
  std::jthread worker([&] { EXPECT_FALSE(pacer.Spend(1, base::Duration{0}, stop.get_token())); });
  asked.get_future().wait();
  while (pacer.pause() == Pause::kNone) std::this_thread::yield();
  EXPECT_EQ(pacer.pause(), Pause::kUnderLoad);
  stop.request_stop();
  worker.join();
  EXPECT_EQ(pacer.pause(), Pause::kNone);
}

TEST(Pacer, MindsOfTheMachineOnlyWhatTheBudgetMinds) {
  EXPECT_EQ(Pacer::AskMachine({}), Pause::kNone);
  Budget budget;
  budget.max_load_per_cpu = 1e9;
  EXPECT_EQ(Pacer::AskMachine(budget), Pause::kNone);
  budget.pause_on_battery = true;
  EXPECT_EQ(Pacer::AskMachine(budget), os::OnBattery() ? Pause::kOnBattery : Pause::kNone);
}

TEST(Pacer, GoesByAnotherBudgetFromThenOn) {
  const tests::SystemClock clock;
  Budget budget;
  budget.bytes_per_second = 1;
  std::vector<bool> minds_the_battery;
  Pacer pacer(budget, clock, [&](const Budget& asked) {
    minds_the_battery.push_back(asked.pause_on_battery);
    return Pause::kNone;
  });
  budget.bytes_per_second = 1'000'000'000;
  budget.pause_on_battery = true;
  pacer.Set(budget);
  // By the old budget this waits for a day, and the test does not end.
  EXPECT_TRUE(pacer.Spend(86'400, base::Duration{0}, std::stop_token()));
  EXPECT_EQ(minds_the_battery, std::vector<bool>{true});
}

}  // namespace
}  // namespace weighmaster::agent::sensors
