#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "policy/base/time.h"
#include "server/ctl/command.h"

namespace weighmaster::server::ctl {

// The whole program behind weighctl's main: finds the command, reads its arguments, runs it, and
// says what is wrong in one line on `err`.
ExitCode RunWeighctl(const std::vector<std::string>& words, std::ostream& out, std::ostream& err,
                     const base::Clock& clock);

}  // namespace weighmaster::server::ctl
