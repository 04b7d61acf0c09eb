#pragma once

#include <cstdint>

namespace weighmaster::posix {

// Lets this process have as many open files as it may ask for (RLIMIT_NOFILE, soft to hard), and
// returns how many. The usual soft limit of 1,024 is for programs that use select(2).
std::uint64_t RaiseFileLimit();

}  // namespace weighmaster::posix
