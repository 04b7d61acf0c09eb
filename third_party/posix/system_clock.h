#pragma once

#include "policy/base/time.h"

namespace weighmaster::posix {

// The machine's clocks. Callable from any thread.
class SystemClock final : public base::Clock {
 public:
  base::WallTime Now() const override;
  base::BootTime SinceBoot() const override;
};

}  // namespace weighmaster::posix
