#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "policy/base/result.h"

namespace weighmaster::posix {

// Files that programs keep and people hand them: small ones whole, others piece by piece.
// Everything here blocks.

// Takes the next piece of a file.
using Sink = std::function<base::Status(std::string_view)>;

// The whole file; "-" is standard input. More than `max_bytes` is RESOURCE_EXHAUSTED.
base::Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

// Gives the file to `sink`, however long it is. An error of the sink ends it.
base::Status ReadPieces(const std::string& path, const Sink& sink);

// A file that another one names, relative to that one's folder: "lists/approved.txt". A link that
// leads out of the folder is INVALID_ARGUMENT.
base::Result<std::string> ReadFileBelow(const std::string& folder, const std::string& path,
                                        std::size_t max_bytes);

// Written beside the file, made durable, and renamed: after a crash the old file is there or the
// new one.
base::Status ReplaceFile(const std::string& path, std::string_view content, mode_t mode);
// The same of what `fill` gives piece by piece. Where it fails, nothing is left beside the file.
base::Status ReplaceFile(const std::string& path,
                         const std::function<base::Status(const Sink&)>& fill, mode_t mode);

// A new file, durable with its name when this returns. ALREADY_EXISTS when it is there.
base::Status WriteNewFile(const std::string& path, std::string_view content, mode_t mode);

// Makes the folder, and those above it, with mode 0700. One that is there already must be this
// user's and nobody else's to read: FAILED_PRECONDITION.
base::Status MakePrivateFolder(const std::string& path);

}  // namespace weighmaster::posix
