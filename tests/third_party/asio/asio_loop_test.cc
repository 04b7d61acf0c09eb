#include "third_party/asio/asio_loop.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace weighmaster::asio {
namespace {

using std::chrono::milliseconds;

// Runs the loop until a task stops it; a loop that nobody stops is a failure and not a hang.
void RunWithDeadline(AsioLoop& loop) {
  bool late = false;
  base::Timer deadline(loop);
  deadline.Start(std::chrono::seconds(20), [&] {
    late = true;
    loop.Stop();
  });
  loop.Run();
  ASSERT_FALSE(late) << "nothing stopped the loop";
}

TEST(AsioLoop, RunsPostedTasksInOrder) {
  AsioLoop loop;
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) loop.Post([&order, i] { order.push_back(i); });
  loop.Post([&] { loop.Stop(); });
  RunWithDeadline(loop);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(AsioLoop, RunsNoTaskInsideTheCallThatPostsIt) {
  AsioLoop loop;
  bool ran = false;
  loop.Post([&] {
    loop.Post([&] {
      ran = true;
      loop.Stop();
    });
    EXPECT_FALSE(ran);
  });
  RunWithDeadline(loop);
  EXPECT_TRUE(ran);
}

TEST(AsioLoop, TakesPostsOfManyThreadsAndRunsEachOnceOnItsOwn) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 500;
  AsioLoop loop;
  int ran = 0;
  std::vector<std::thread> posters;
  posters.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    posters.emplace_back([&] {
      for (int n = 0; n < kPosts; ++n) {
        loop.Post([&] {
          EXPECT_TRUE(loop.OnLoop());
          if (++ran == kThreads * kPosts) loop.Stop();
        });
      }
    });
  }
  RunWithDeadline(loop);
  for (std::thread& poster : posters) poster.join();
  EXPECT_EQ(ran, kThreads * kPosts);
}

TEST(AsioLoop, FiresTimersByTheirTimeAndNotBeforeIt) {
  AsioLoop loop;
  std::vector<int> order;
  const auto start = std::chrono::steady_clock::now();
  loop.After(milliseconds(30), [&] {
    order.push_back(2);
    loop.Stop();
  });
  loop.After(milliseconds(5), [&] { order.push_back(1); });
  RunWithDeadline(loop);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
}

TEST(AsioLoop, NeverRunsACancelledTimer) {
  AsioLoop loop;
  const base::Loop::TimerId id =
      loop.After(milliseconds(1), [] { FAIL() << "a cancelled timer ran"; });
  loop.Cancel(id);
  loop.After(milliseconds(20), [&] { loop.Stop(); });
  RunWithDeadline(loop);
}

TEST(AsioLoop, NeverRunsATimerThatWasCancelledWhenItWasDueAlready) {
  AsioLoop loop;
  base::Loop::TimerId second = 0;
  // Both are due when the loop first looks, so the second's handler is queued while the first runs.
  const base::Loop::TimerId first = loop.After(base::Duration(0), [&] { loop.Cancel(second); });
  second = loop.After(base::Duration(0), [] { FAIL() << "a cancelled timer ran"; });
  EXPECT_NE(first, second);
  loop.After(milliseconds(20), [&] { loop.Stop(); });
  RunWithDeadline(loop);
}

TEST(AsioLoop, IgnoresTheCancellingOfATimerThatHasFired) {
  AsioLoop loop;
  base::Loop::TimerId id = 0;
  id = loop.After(base::Duration(0), [&] { loop.Cancel(id); });
  loop.After(milliseconds(5), [&] {
    loop.Cancel(id);
    loop.Stop();
  });
  RunWithDeadline(loop);
}

TEST(AsioLoop, DoesNotTakeAVeryLongDelayForAShortOne) {
  AsioLoop loop;
  const base::Loop::TimerId id =
      loop.After(base::Duration::max(), [] { FAIL() << "the delay wrapped around"; });
  loop.After(milliseconds(5), [&] { loop.Stop(); });
  RunWithDeadline(loop);
  loop.Cancel(id);
}

TEST(AsioLoop, GoesOnAfterAStopWithWhatWasLeft) {
  AsioLoop loop;
  bool ran = false;
  loop.Post([&] { loop.Stop(); });
  loop.Post([&] {
    ran = true;
    loop.Stop();
  });
  RunWithDeadline(loop);
  EXPECT_FALSE(ran);
  RunWithDeadline(loop);
  EXPECT_TRUE(ran);
}

TEST(AsioLoop, EndsAtOnceWhenItWasStoppedBefore) {
  AsioLoop loop;
  loop.Stop();
  loop.Post([] { FAIL() << "a stopped loop ran a task"; });
  loop.Run();
}

TEST(AsioLoop, BelongsToTheThreadThatMadeItUntilAnotherRunsIt) {
  AsioLoop loop;
  EXPECT_TRUE(loop.OnLoop());
  std::thread runner([&] {
    EXPECT_FALSE(loop.OnLoop());
    loop.Post([&] {
      EXPECT_TRUE(loop.OnLoop());
      loop.Stop();
    });
    loop.Run();
  });
  runner.join();
  EXPECT_FALSE(loop.OnLoop());
}

TEST(AsioLoopDeathTest, RefusesTimersFromAnotherThread) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        AsioLoop loop;
        std::thread([&] { loop.After(base::Duration(0), [] {}); }).join();
      },
      "OnLoop");
}

TEST(AsioLoop, DestroysWhatNeverRan) {
  const auto token = std::make_shared<int>(0);
  {
    AsioLoop loop;
    loop.Post([token] {});
    loop.After(std::chrono::hours(1), [token] {});
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace weighmaster::asio
