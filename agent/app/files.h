#pragma once

#include <optional>
#include <string>

#include "policy/base/result.h"

namespace weighmaster::agent::app {

// The folder of a socket that every user may reach: made with mode 0755 when it is not there.
base::Status MakeSocketFolder(const std::string& socket_path);

// The folder that a root of the settings means, without links; nothing while a link in it leads
// nowhere. One that does not exist is itself.
std::optional<std::string> ResolveRoot(const std::string& root);

}  // namespace weighmaster::agent::app
