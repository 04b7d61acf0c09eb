#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "policy/base/time.h"

namespace weighmaster::agent::sensors {

// What looking at files may cost the machine. Zero or false is no limit, as `weighmaster scan`
// runs.
struct Budget {
  std::uint64_t bytes_per_second = 0;  // read from disk, all threads together
  std::uint32_t cpu_percent = 0;       // of one processor, all threads together
  bool pause_on_battery = false;
  double max_load_per_cpu = 0;  // pauses while the load average is above
  // Work is held up for this long at most, and then goes on for as long again. Every laptop is
  // looked at at last, and since anybody can make load, even at the lowest priority, load halves
  // the pace and no more.
  base::Duration longest_pause_on_battery = std::chrono::hours(24);
  base::Duration longest_pause_under_load = std::chrono::minutes(15);
  bool background = false;  // processor and disk only when nobody else wants them
};

// Why work is held up.
enum class Pause : std::uint8_t { kNone = 0, kOnBattery = 1, kUnderLoad = 2 };

// Lets `per_second` units through on average and `burst` at once. A spender may overdraw it once
// and then waits until the debt is paid. A value.
class TokenBucket {
 public:
  TokenBucket(std::uint64_t per_second, std::uint64_t burst)
      : per_second_(per_second), level_(static_cast<double>(burst)), burst_(level_) {}

  // Takes the amount and returns how long to wait before going on; zero while there is enough.
  base::Duration Take(std::uint64_t amount, base::BootTime now);

 private:
  std::uint64_t per_second_;
  double level_;
  double burst_;
  std::optional<base::BootTime> last_;
};

// Keeps the sensor's threads within one Budget at a time. Any thread may call it; `mutex_` guards
// what they share. The clock must outlive it.
class Pacer {
 public:
  // `wanted_pause` says why, by this budget, the machine is in no mood for background work, if it
  // is not; it is asked every few seconds at most. AskMachine() is the real one.
  using WantedPause = std::function<Pause(const Budget&)>;
  Pacer(const Budget& budget, const base::Clock& clock, WantedPause wanted_pause);
  static Pause AskMachine(const Budget& budget);

  // From now on; a thread that is held up goes by it within a few seconds. `background` is for
  // whoever starts the threads.
  void Set(const Budget& budget);

  // Accounts for work that was just done and waits as long as the budget asks for. False when
  // `stop` was requested.
  bool Spend(std::uint64_t bytes, base::Duration busy, const std::stop_token& stop);

  // Whether a thread is held up at this moment, for status.
  Pause pause() const { return pause_; }

 private:
  base::Duration Owed(std::uint64_t bytes, base::Duration busy);
  bool PauseIfWanted(const std::stop_token& stop);
  // Why to pause now and for how long at most.
  std::pair<Pause, base::Duration> WantedPauseNow();

  const base::Clock& clock_;
  const WantedPause wanted_pause_;
  std::atomic<Pause> pause_ = Pause::kNone;

  std::mutex mutex_;
  // Guarded by mutex_.
  Budget budget_;
  TokenBucket bytes_;
  TokenBucket processor_;  // in microseconds
  base::BootTime next_check_;
};

// Waits on the real clock. False when `stop` was requested before the time had passed.
bool WaitFor(base::Duration duration, const std::stop_token& stop);

}  // namespace weighmaster::agent::sensors
