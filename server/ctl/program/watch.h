#pragma once

#include <functional>
#include <ostream>
#include <string>

#include "policy/base/result.h"
#include "policy/base/time.h"

namespace weighmaster::server::ctl {

// What passes between two looks, as an interface, so that whoever drives a watch decides when the
// time has passed and when it ends.
class Pause {
 public:
  virtual ~Pause() = default;
  // Called once, before the first look.
  virtual void Begin() = 0;
  // Blocks. False when the person has seen enough.
  virtual bool Wait(base::Duration time) = 0;
};

struct WatchView {
  std::ostream& out;
  std::ostream& err;
  // `out` is a terminal, which shows the whole of the newest look. Anything else gets the lines
  // that the look before did not have.
  bool is_terminal = false;
  // The time above what is printed. Programs that read `out` line by line get it on `err`.
  std::ostream& times;
  base::Duration every{0};
};

// Looks, prints what changed, waits, and does so again until the pause ends it. A server that is
// away or has too much to do is said on `err`, once, and again when it is back; every other error
// of a look ends the watch and comes back. A look of more than limits::kMaxWatchedBytes is
// FAILED_PRECONDITION. Ends as well once `out` takes nothing any more.
base::Status Watch(const WatchView& view, Pause& pause, const base::Clock& clock,
                   const std::function<base::Result<std::string>()>& look);

}  // namespace weighmaster::server::ctl
