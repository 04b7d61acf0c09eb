#include "third_party/asio/asio_loop.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <unordered_map>
#include <utility>

#include "policy/base/check.h"

namespace weighmaster::asio {
namespace {

// Microseconds reach further than the steady clock's nanoseconds; a delay past this would wrap.
constexpr base::Duration kLongestDelay = std::chrono::hours(24) * 3650;

}  // namespace

struct AsioLoop::Parts {
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work =
      boost::asio::make_work_guard(context);
  std::atomic<std::thread::id> thread = std::this_thread::get_id();

  // Owned by the loop. A handler that finds its id gone was cancelled after it had become due.
  TimerId next_timer = 1;
  std::unordered_map<TimerId, boost::asio::steady_timer> timers;
};

AsioLoop::AsioLoop() : parts_(std::make_unique<Parts>()) {}

AsioLoop::~AsioLoop() = default;

void AsioLoop::Run() {
  parts_->thread = std::this_thread::get_id();
  parts_->context.run();
  parts_->context.restart();
}

void AsioLoop::Stop() { parts_->context.stop(); }

void AsioLoop::Post(Task task) { boost::asio::post(parts_->context, std::move(task)); }

AsioLoop::TimerId AsioLoop::After(base::Duration delay, Task task) {
  WM_CHECK(OnLoop());
  const TimerId id = parts_->next_timer++;
  const auto [entry, inserted] =
      parts_->timers.emplace(id, boost::asio::steady_timer(parts_->context));
  WM_CHECK(inserted);
  entry->second.expires_after(std::min(delay, kLongestDelay));
  Parts* const parts = parts_.get();
  entry->second.async_wait([parts, id, task = std::move(task)](const boost::system::error_code&) {
    if (parts->timers.erase(id) == 1) task();
  });
  return id;
}

void AsioLoop::Cancel(TimerId id) {
  WM_CHECK(OnLoop());
  parts_->timers.erase(id);
}

bool AsioLoop::OnLoop() const { return parts_->thread.load() == std::this_thread::get_id(); }

boost::asio::io_context& AsioLoop::context() { return parts_->context; }

}  // namespace weighmaster::asio
