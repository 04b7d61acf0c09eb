#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weighmaster::base {

// Everything that is stored or sent has microseconds (architecture: "times are int64 microseconds
// UTC"), so the clocks are that fine and no finer.
using Duration = std::chrono::microseconds;

// UTC since the Unix epoch. Steps when a person or NTP sets the clock.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// Time since this machine booted, suspends included (CLOCK_BOOTTIME). Never steps; means nothing
// without the boot id beside it.
struct BootTime {
  Duration since_boot{0};
  friend auto operator<=>(const BootTime&, const BootTime&) = default;
};

constexpr std::int64_t ToMicroseconds(WallTime time) { return time.time_since_epoch().count(); }
constexpr WallTime WallTimeFromMicroseconds(std::int64_t us) { return WallTime(Duration(us)); }

// "2026-03-01T12:00:00.000000Z" (RFC 3339).
std::string FormatWallTime(WallTime time);

// The source of time, passed to everything that asks for it. Implementations are callable from any
// thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() const = 0;
  virtual BootTime SinceBoot() const = 0;
};

}  // namespace weighmaster::base
