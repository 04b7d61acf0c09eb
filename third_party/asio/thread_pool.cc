#include "third_party/asio/thread_pool.h"

#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "third_party/asio/thread_name.h"

namespace weighmaster::asio {

ThreadPool::ThreadPool(std::size_t threads, const std::string& name) {
  WM_CHECK(threads > 0);
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, name] {
      NameThisThread(name);
      Work();
    });
  }
}

ThreadPool::~ThreadPool() {
  std::deque<base::Loop::Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(waiting_);
  }
  wake_.notify_all();
  dropped.clear();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::Submit(base::Loop::Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    WM_CHECK(waiting_.size() < base::limits::kMaxExecutorQueue);
    waiting_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void ThreadPool::Work() {
  while (true) {
    base::Loop::Task task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      task = std::move(waiting_.front());
      waiting_.pop_front();
    }
    task();
  }
}

}  // namespace weighmaster::asio
