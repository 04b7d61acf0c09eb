#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "policy/base/result.h"

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
// A time as RFC 3339 has it, with any offset: "2026-03-01T13:00:00+01:00". Digits after the sixth
// of a fraction are dropped; a leap second is the first of the next minute. INVALID_ARGUMENT for
// anything else.
Result<WallTime> ParseWallTime(std::string_view text);
// The same, or a day alone, "2026-03-01", which stands for its first moment in UTC.
Result<WallTime> ParseWallTimeOrDay(std::string_view text);

// The source of time, passed to everything that asks for it. Implementations are callable from any
// thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() const = 0;
  virtual BootTime SinceBoot() const = 0;
};

}  // namespace weighmaster::base
