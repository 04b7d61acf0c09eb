#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/ctl/exit_code.h"
#include "agent/ctl/program.h"
#include "policy/base/result.h"
#include "policy/model/verdict.h"

namespace weighmaster::agent::ctl {

// The commands of the program. An error is printed by the caller and ends it with kFailed.

struct ScanArguments {
  std::vector<std::string> paths;
  std::string policy_file;  // "": the starter policy "observe"
  bool json = false;
  model::Outcome fail_on = model::Outcome::kDeny;
};
base::Result<ExitCode> Scan(const ScanArguments& arguments, Terminal terminal);

// Asks the agent on this socket.
base::Result<ExitCode> ShowStatus(const std::string& socket, Terminal terminal);
base::Result<ExitCode> Check(const std::string& socket, const std::vector<std::string>& paths,
                             Terminal terminal);
base::Result<ExitCode> Why(const std::string& socket, const std::string& path, Terminal terminal);
base::Result<ExitCode> Doctor(const std::string& socket, Terminal terminal);

}  // namespace weighmaster::agent::ctl
