#pragma once

#include <vector>

#include "server/ctl/command.h"

namespace weighmaster::server::ctl {

std::vector<Command> ContextCommands();  // login, context list, use, add, remove

}  // namespace weighmaster::server::ctl
