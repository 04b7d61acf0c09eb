#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "agent/ctl/exit_code.h"

namespace weighmaster::agent::ctl {

// What a command writes to and works with.
struct Terminal {
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;  // a progress bar goes there
};

// The whole program behind weighmaster's main.
ExitCode RunWeighmaster(const std::vector<std::string>& words, Terminal terminal);

}  // namespace weighmaster::agent::ctl
