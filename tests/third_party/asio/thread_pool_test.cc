#include "third_party/asio/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace weighmaster::asio {
namespace {

constexpr std::chrono::seconds kDeadline{20};

TEST(ThreadPool, RunsEveryTaskOnceOffTheCallersThread) {
  constexpr int kTasks = 1'000;
  std::atomic<int> ran{0};
  std::promise<void> all;
  ThreadPool pool(4, "test");
  for (int i = 0; i < kTasks; ++i) {
    pool.Submit([&, caller = std::this_thread::get_id()] {
      EXPECT_NE(std::this_thread::get_id(), caller);
      if (++ran == kTasks) all.set_value();
    });
  }
  ASSERT_EQ(all.get_future().wait_for(kDeadline), std::future_status::ready);
  EXPECT_EQ(ran, kTasks);
}

TEST(ThreadPool, RunsTasksSideBySideWhenItHasThreads) {
  // Each task waits for the other: with one thread neither would end.
  std::promise<void> first_began;
  std::promise<void> second_began;
  std::promise<bool> met;
  ThreadPool pool(2, "test");
  pool.Submit([&] {
    first_began.set_value();
    met.set_value(second_began.get_future().wait_for(kDeadline) == std::future_status::ready);
  });
  pool.Submit([&] {
    second_began.set_value();
    first_began.get_future().wait_for(kDeadline);
  });
  EXPECT_TRUE(met.get_future().get());
}

TEST(ThreadPool, KeepsTheOrderWithOneThread) {
  std::vector<int> order;  // touched by the one worker, read after the promise
  std::promise<void> done;
  ThreadPool pool(1, "test");
  for (int i = 0; i < 100; ++i) pool.Submit([&order, i] { order.push_back(i); });
  pool.Submit([&] { done.set_value(); });
  ASSERT_EQ(done.get_future().wait_for(kDeadline), std::future_status::ready);
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(ThreadPool, FinishesWhatRunsAndDropsWhatWaitsWhenItGoes) {
  std::atomic<bool> finished{false};
  std::atomic<bool> dropped_ran{false};
  const auto token = std::make_shared<int>(0);
  std::promise<void> running;
  std::promise<void> go_on;
  auto pool = std::make_unique<ThreadPool>(1, "test");
  pool->Submit([&] {
    running.set_value();
    go_on.get_future().wait();
    finished = true;
  });
  pool->Submit([&, token] { dropped_ran = true; });
  running.get_future().wait();
  // The waiting task is destroyed before the pool waits for the running one, which is let go by
  // that.
  std::thread stopper([&] { pool.reset(); });
  while (token.use_count() > 1) std::this_thread::yield();
  go_on.set_value();
  stopper.join();
  EXPECT_TRUE(finished);
  EXPECT_FALSE(dropped_ran);
}

TEST(ThreadPool, NamesItsThreadsAndCutsANameThatIsTooLong) {
  std::promise<std::string> name;
  ThreadPool pool(1, "weighmaster-hashing");
  pool.Submit([&] {
    std::array<char, 64> text{};
    pthread_getname_np(pthread_self(), text.data(), text.size());
    name.set_value(text.data());
  });
  EXPECT_EQ(name.get_future().get(), "weighmaster-has");
}

TEST(ThreadPool, LetsATaskSubmitAnother) {
  std::promise<void> done;
  ThreadPool pool(1, "test");
  pool.Submit([&] { pool.Submit([&] { done.set_value(); }); });
  EXPECT_EQ(done.get_future().wait_for(kDeadline), std::future_status::ready);
}

}  // namespace
}  // namespace weighmaster::asio
