#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "policy/base/result.h"

namespace weighmaster::posix {

// Small files that programs keep and people hand them. Everything here blocks.

// The whole file; "-" is standard input. More than `max_bytes` is RESOURCE_EXHAUSTED.
base::Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

// A file that another one names, relative to that one's folder: "lists/approved.txt". A link that
// leads out of the folder is INVALID_ARGUMENT.
base::Result<std::string> ReadFileBelow(const std::string& folder, const std::string& path,
                                        std::size_t max_bytes);

// Written beside the file, made durable, and renamed: after a crash the old file is there or the
// new one.
base::Status ReplaceFile(const std::string& path, std::string_view content, mode_t mode);

// A new file, durable with its name when this returns. ALREADY_EXISTS when it is there.
base::Status WriteNewFile(const std::string& path, std::string_view content, mode_t mode);

// Makes the folder, and those above it, with mode 0700. One that is there already must be this
// user's and nobody else's to read: FAILED_PRECONDITION.
base::Status MakePrivateFolder(const std::string& path);

}  // namespace weighmaster::posix
