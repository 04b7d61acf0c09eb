#include "agent/sensors/artifacts/budget.h"

#include <algorithm>
#include <utility>

#include "agent/os/machine.h"

namespace weighmaster::agent::sensors {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr seconds kCheckInterval{5};
constexpr std::uint64_t kMicrosecondsPerSecond = 1'000'000;
// Debts shorter than this are let grow: a sleep costs more than it saves.
constexpr microseconds kShortestWait{2'000};

}  // namespace

base::Duration TokenBucket::Take(std::uint64_t amount, base::BootTime now) {
  if (per_second_ == 0) return base::Duration{0};
  const auto rate = static_cast<double>(per_second_) / static_cast<double>(kMicrosecondsPerSecond);
  if (last_.has_value() && now > *last_) {
    const auto passed = static_cast<double>((now.since_boot - last_->since_boot).count());
    level_ = std::min(burst_, level_ + passed * rate);
  }
  last_ = now;
  level_ -= static_cast<double>(amount);
  if (level_ >= 0) return base::Duration{0};
  return base::Duration{static_cast<std::int64_t>(-level_ / rate)};
}

Pacer::Pacer(const Budget& budget, const base::Clock& clock, WantedPause wanted_pause)
    : budget_(budget),
      clock_(clock),
      wanted_pause_(std::move(wanted_pause)),
      bytes_(budget.bytes_per_second, budget.bytes_per_second / 4),
      processor_(kMicrosecondsPerSecond * budget.cpu_percent / 100,
                 kMicrosecondsPerSecond * budget.cpu_percent / 400) {}

Pacer::WantedPause Pacer::FromMachine(const Budget& budget) {
  if (!budget.pause_on_battery && budget.max_load_per_cpu <= 0) return nullptr;
  return [budget] {
    if (budget.pause_on_battery && os::OnBattery()) return Pause::kOnBattery;
    if (budget.max_load_per_cpu > 0 && os::LoadPerCpu() > budget.max_load_per_cpu) {
      return Pause::kUnderLoad;
    }
    return Pause::kNone;
  };
}

bool Pacer::Spend(std::uint64_t bytes, base::Duration busy, const std::stop_token& stop) {
  if (stop.stop_requested()) return false;
  const base::Duration owed = Owed(bytes, busy);
  if (owed >= kShortestWait && !WaitFor(owed, stop)) return false;
  return PauseIfWanted(stop);
}

base::Duration Pacer::Owed(std::uint64_t bytes, base::Duration busy) {
  if (budget_.bytes_per_second == 0 && budget_.cpu_percent == 0) return base::Duration{0};
  const base::BootTime now = clock_.SinceBoot();
  const std::lock_guard lock(mutex_);
  return std::max(bytes_.Take(bytes, now),
                  processor_.Take(static_cast<std::uint64_t>(busy.count()), now));
}

bool Pacer::PauseIfWanted(const std::stop_token& stop) {
  if (wanted_pause_ == nullptr) return true;
  const base::BootTime began = clock_.SinceBoot();
  {
    const std::lock_guard lock(mutex_);
    if (began < next_check_) return true;
    next_check_ = {began.since_boot + kCheckInterval};
  }
  bool going_on = true;
  for (Pause wanted = wanted_pause_(); going_on && wanted != Pause::kNone;
       wanted = wanted_pause_()) {
    const base::Duration longest = LongestFor(wanted);
    if (clock_.SinceBoot().since_boot - began.since_boot >= longest) {
      // The pause is spent.
      const std::lock_guard lock(mutex_);
      next_check_ = {clock_.SinceBoot().since_boot + longest};
      break;
    }
    pause_ = wanted;
    going_on = WaitFor(kCheckInterval, stop);
  }
  pause_ = Pause::kNone;
  return going_on;
}

base::Duration Pacer::LongestFor(Pause pause) const {
  return pause == Pause::kOnBattery ? budget_.longest_pause_on_battery
                                    : budget_.longest_pause_under_load;
}

bool WaitFor(base::Duration duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace weighmaster::agent::sensors
