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

TokenBucket BytesOf(const Budget& budget) {
  return {budget.bytes_per_second, budget.bytes_per_second / 4};
}

TokenBucket ProcessorOf(const Budget& budget) {
  return {kMicrosecondsPerSecond * budget.cpu_percent / 100,
          kMicrosecondsPerSecond * budget.cpu_percent / 400};
}

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
    : clock_(clock),
      wanted_pause_(std::move(wanted_pause)),
      budget_(budget),
      bytes_(BytesOf(budget)),
      processor_(ProcessorOf(budget)) {}

Pause Pacer::AskMachine(const Budget& budget) {
  if (budget.pause_on_battery && os::OnBattery()) return Pause::kOnBattery;
  if (budget.max_load_per_cpu > 0 && os::LoadPerCpu() > budget.max_load_per_cpu) {
    return Pause::kUnderLoad;
  }
  return Pause::kNone;
}

void Pacer::Set(const Budget& budget) {
  const std::lock_guard lock(mutex_);
  budget_ = budget;
  bytes_ = BytesOf(budget);
  processor_ = ProcessorOf(budget);
}

bool Pacer::Spend(std::uint64_t bytes, base::Duration busy, const std::stop_token& stop) {
  if (stop.stop_requested()) return false;
  base::Duration owed = Owed(bytes, busy);
  while (owed >= kShortestWait) {
    const base::Duration step = std::min<base::Duration>(owed, kCheckInterval);
    if (!WaitFor(step, stop)) return false;
    // A long debt is asked for again, since the budget may be another by now.
    owed = step < owed ? Owed(0, base::Duration{0}) : base::Duration{0};
  }
  return PauseIfWanted(stop);
}

base::Duration Pacer::Owed(std::uint64_t bytes, base::Duration busy) {
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
  while (going_on) {
    const auto [wanted, longest] = WantedPauseNow();
    if (wanted == Pause::kNone) break;
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

std::pair<Pause, base::Duration> Pacer::WantedPauseNow() {
  Budget budget;
  {
    const std::lock_guard lock(mutex_);
    budget = budget_;
  }
  const Pause wanted = wanted_pause_(budget);
  return {wanted, wanted == Pause::kOnBattery ? budget.longest_pause_on_battery
                                              : budget.longest_pause_under_load};
}

bool WaitFor(base::Duration duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace weighmaster::agent::sensors
