#pragma once

#include <cstdint>

#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

// What is known of a file before anything of it is followed: bytes that the caller keeps alive.
struct FileEnds {
  base::ByteView head;  // the first bytes; all of them where the file is smaller than what is read
  base::ByteView tail;  // the last ones, likewise; empty where only the head matters
  std::uint64_t size = 0;
};

}  // namespace weighmaster::agent::formats
