#include "tests/support/sim_loop.h"

#include <algorithm>

#include "policy/base/check.h"

namespace weighmaster::tests {
namespace {

// Tasks that post each other for ever would hang a test without time passing.
constexpr std::uint64_t kMaxTasksInOneMoment = 10'000'000;

}  // namespace

void SimLoop::Post(Task task) { After(base::Duration(0), std::move(task)); }

base::Loop::TimerId SimLoop::After(base::Duration delay, Task task) {
  const TimerId id = next_id_++;
  const base::Duration due = since_boot_ + std::max(delay, base::Duration(0));
  tasks_.emplace(Key(due, id), std::move(task));
  due_.emplace(id, due);
  return id;
}

void SimLoop::Cancel(TimerId id) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  tasks_.erase(Key(found->second, id));
  due_.erase(found);
}

bool SimLoop::RunOne(base::Duration until) {
  if (tasks_.empty() || tasks_.begin()->first.first > until) return false;
  auto node = tasks_.extract(tasks_.begin());
  due_.erase(node.key().second);
  run_in_this_moment_ = node.key().first > since_boot_ ? 0 : run_in_this_moment_ + 1;
  WM_CHECK(run_in_this_moment_ < kMaxTasksInOneMoment);
  since_boot_ = std::max(since_boot_, node.key().first);
  node.mapped()();
  return true;
}

bool SimLoop::RunUntil(const std::function<bool()>& done, base::Duration limit) {
  const base::Duration until = since_boot_ + limit;
  while (!done()) {
    if (!RunOne(until)) {
      since_boot_ = std::max(since_boot_, until);
      return done();
    }
  }
  return true;
}

void SimLoop::RunFor(base::Duration time) {
  const base::Duration until = since_boot_ + time;
  while (RunOne(until)) {
  }
  since_boot_ = std::max(since_boot_, until);
}

}  // namespace weighmaster::tests
