#pragma once

#include <cstdint>

#include "policy/base/result.h"

namespace weighmaster::agent::control {

// The effective user id of the process at the other end of a connected Unix socket, as the kernel
// took it down when it connected.
base::Result<std::uint32_t> PeerUser(int socket);

}  // namespace weighmaster::agent::control
