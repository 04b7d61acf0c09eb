#pragma once

#include "server/ctl/program/watch.h"

namespace weighmaster::server::ctl {

// Real time, until SIGINT or SIGTERM. A look can take as long as the server lets it, and nothing is
// half done then, so a signal during one ends the program on the spot, with exit code 0 as well.
class SignalPause final : public Pause {
 public:
  void Begin() override;
  bool Wait(base::Duration time) override;
};

}  // namespace weighmaster::server::ctl
