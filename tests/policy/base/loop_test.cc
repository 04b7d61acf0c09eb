#include "policy/base/loop.h"

#include <gtest/gtest.h>

#include <map>

namespace weighmaster::base {
namespace {

// Timers that fire when the test says so; nothing else of a loop is asked for here.
class HandLoop final : public Loop {
 public:
  void Post(Task task) override { task(); }
  TimerId After(Duration, Task task) override {
    timers_[++last_id_] = std::move(task);
    return last_id_;
  }
  void Cancel(TimerId id) override { timers_.erase(id); }
  bool OnLoop() const override { return true; }

  std::size_t pending() const { return timers_.size(); }
  void FireAll() {
    std::map<TimerId, Task> due;
    due.swap(timers_);
    for (const auto& [id, task] : due) task();
  }

 private:
  std::map<TimerId, Task> timers_;
  TimerId last_id_ = 0;
};

TEST(Timer, FiresOnceAndIsThenNotArmed) {
  HandLoop loop;
  Timer timer(loop);
  int fired = 0;
  timer.Start(Duration(5), [&] { ++fired; });
  EXPECT_TRUE(timer.armed());
  loop.FireAll();
  loop.FireAll();
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(timer.armed());
}

TEST(Timer, StartingAgainReplacesWhatWasPending) {
  HandLoop loop;
  Timer timer(loop);
  int first = 0;
  int second = 0;
  timer.Start(Duration(5), [&] { ++first; });
  timer.Start(Duration(5), [&] { ++second; });
  EXPECT_EQ(loop.pending(), 1U);
  loop.FireAll();
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
}

TEST(Timer, MayBeStartedAgainFromItsOwnTask) {
  HandLoop loop;
  Timer timer(loop);
  int fired = 0;
  timer.Start(Duration(5), [&] {
    ++fired;
    timer.Start(Duration(5), [&] { ++fired; });
  });
  loop.FireAll();
  EXPECT_TRUE(timer.armed());
  loop.FireAll();
  EXPECT_EQ(fired, 2);
}

TEST(Timer, GoingOutOfScopeCancelsIt) {
  HandLoop loop;
  {
    Timer timer(loop);
    timer.Start(Duration(5), [] {});
    EXPECT_EQ(loop.pending(), 1U);
  }
  EXPECT_EQ(loop.pending(), 0U);
}

}  // namespace
}  // namespace weighmaster::base
