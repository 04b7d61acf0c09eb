#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "policy/base/time.h"
#include "server/ctl/command.h"
#include "server/ctl/program/watch.h"

namespace weighmaster::server::ctl {

// What the program needs of the machine.
struct Surroundings {
  std::ostream& out;
  std::ostream& err;
  const base::Clock& clock;
  Pause& pause;              // of --watch
  bool is_terminal = false;  // `out` is one
};

// The whole program behind weighctl's main: finds the command, reads its arguments, runs it, once
// or for as long as --watch goes on, and says what is wrong in one line on `err`.
ExitCode RunWeighctl(const std::vector<std::string>& words, const Surroundings& around);

}  // namespace weighmaster::server::ctl
