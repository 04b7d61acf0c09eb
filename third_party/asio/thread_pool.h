#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "policy/base/loop.h"

namespace weighmaster::asio {

// A fixed number of threads that take blocking work off the loop, first come, first served. With
// one thread its tasks never run side by side.
//
// Everyone who submits bounds what they have under way, so the queue has a limit
// (limits::kMaxExecutorQueue) only as a net: reaching it is a defect and a failed CHECK. A task
// past it could neither wait (Submit is called on the loop) nor vanish (somebody waits for its
// answer).
//
// Going out of scope waits for the tasks that are running and destroys those that have not begun: a
// program that ends must not first hash a hundred gigabytes, and everything here survives being
// killed. A task must not outlive what it refers to; it posts its result to a loop that outlives
// the pool.
class ThreadPool final : public base::Executor {
 public:
  // `threads` > 0. The name is what top and gdb show; the system cuts it to 15 bytes.
  ThreadPool(std::size_t threads, const std::string& name);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Submit(base::Loop::Task task) override;

 private:
  void Work();

  // `mutex_` guards the queue between those who submit and the workers; no task runs under it.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<base::Loop::Task> waiting_;
  bool stopping_ = false;

  // Constant after construction.
  std::vector<std::thread> threads_;
};

}  // namespace weighmaster::asio
