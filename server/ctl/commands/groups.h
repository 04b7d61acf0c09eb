#pragma once

#include <vector>

#include "server/ctl/command.h"

namespace weighmaster::server::ctl {

// The commands of weighctl, a group a file.

std::vector<Command> AdminCommands();       // whoami, admin-tokens create, list, revoke
std::vector<Command> AuditCommands();       // audit list, verify
std::vector<Command> EvidenceCommands();    // evidence export, verify
std::vector<Command> ExceptionsCommands();  // exceptions grant, list, revoke
std::vector<Command> FindingsCommands();    // findings; finding show, acknowledge, …
std::vector<Command> FleetCommands();       // endpoints, status, changes, tokens, revoke
std::vector<Command> InventoryCommands();   // inventory, where, artifacts, events, verdicts
std::vector<Command> PolicyCommands();      // policy lint, list, sign, …
Command SimulateCommand();                  // policy simulate
Command StatusCommand();                    // status

}  // namespace weighmaster::server::ctl
