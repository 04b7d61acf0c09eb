#pragma once

#include <vector>

#include "server/ctl/command.h"

namespace weighmaster::server::ctl {

std::vector<Command> RootCommands();  // root show, next, sign; key new, show

}  // namespace weighmaster::server::ctl
