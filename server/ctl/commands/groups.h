#pragma once

#include <vector>

#include "server/ctl/command.h"

namespace weighmaster::server::ctl {

// The commands of weighctl, a group a file.

std::vector<Command> AdminCommands();       // whoami, admin-tokens create, list, revoke
std::vector<Command> AuditCommands();       // audit list, verify
std::vector<Command> EvidenceCommands();    // evidence export, verify
std::vector<Command> ExceptionsCommands();  // exceptions grant, list, revoke
std::vector<Command> FindingsCommands();    // finding show, acknowledge, dismiss, reopen, comment
std::vector<Command> FleetCommands();       // endpoints, status, changes, tokens, revoke, findings
std::vector<Command> InventoryCommands();   // inventory, where, artifacts, events, verdicts
std::vector<Command> PolicyCommands();      // policy lint, list, sign, …
Command SimulateCommand();                  // policy simulate

}  // namespace weighmaster::server::ctl
