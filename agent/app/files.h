#pragma once

#include <string>

#include "agent/os/fd.h"
#include "policy/base/result.h"

namespace weighmaster::agent::app {

// The folder of a socket that every user may reach: made with mode 0755 when it is not there.
base::Status MakeSocketFolder(const std::string& socket_path);

// Held for as long as it lives: a second agent on the same state is FAILED_PRECONDITION.
base::Result<os::Fd> LockFolder(const std::string& folder);

}  // namespace weighmaster::agent::app
