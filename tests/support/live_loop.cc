#include "tests/support/live_loop.h"

#include <algorithm>

namespace weighmaster::tests {

void LiveLoop::Post(Task task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  posted_.notify_one();
}

base::Loop::TimerId LiveLoop::After(base::Duration delay, Task task) {
  const Instant due = Now() + delay;
  const TimerId id = next_id_++;
  timers_.emplace(std::pair(due, id), std::move(task));
  due_.emplace(id, due);
  return id;
}

void LiveLoop::Cancel(TimerId id) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  timers_.erase({found->second, id});
  due_.erase(found);
}

base::Loop::Task LiveLoop::NextTask(Instant until) {
  if (!timers_.empty() && timers_.begin()->first.first <= Now()) {
    Task task = std::move(timers_.begin()->second);
    due_.erase(timers_.begin()->first.second);
    timers_.erase(timers_.begin());
    return task;
  }
  if (!timers_.empty()) until = std::min(until, timers_.begin()->first.first - skipped_);
  // What the test waits for may come true without a task, by another thread.
  until = std::min(until, std::chrono::steady_clock::now() + std::chrono::milliseconds(10));
  std::unique_lock lock(mutex_);
  posted_.wait_until(lock, until, [this] { return !tasks_.empty(); });
  if (tasks_.empty()) return {};
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  return task;
}

bool LiveLoop::RunUntil(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const Instant until = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    if (const Task task = NextTask(until)) task();
  }
  return true;
}

ThreadExecutor::~ThreadExecutor() {
  while (true) {
    std::thread thread;
    {
      const std::lock_guard lock(mutex_);
      if (threads_.empty()) return;
      thread = std::move(threads_.front());
      threads_.pop_front();
    }
    thread.join();
  }
}

void ThreadExecutor::Submit(base::Loop::Task task) {
  const std::lock_guard lock(mutex_);
  threads_.emplace_back(std::move(task));
}

base::WallTime SystemClock::Now() const {
  return std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
}

base::BootTime SystemClock::SinceBoot() const {
  return {std::chrono::duration_cast<base::Duration>(
      std::chrono::steady_clock::now().time_since_epoch())};
}

}  // namespace weighmaster::tests
