#pragma once

namespace weighmaster::agent::ctl {

// Of `weighmaster`, documented in weighmaster(1); build pipelines rely on them.
enum class ExitCode : int {
  kOk = 0,      // looked at everything; nothing at or above --fail-on
  kFailed = 1,  // something could not be looked at, or the agent could not be asked
  kUsage = 2,   // wrong options, or a policy with errors
  kJudged = 3,  // something was judged at or above --fail-on; check: denied by an enforcing policy
};

}  // namespace weighmaster::agent::ctl
