#pragma once

#include <string>
#include <string_view>

#include "policy/base/result.h"

namespace weighmaster::openssl {

// A short file that holds a secret, whole. FAILED_PRECONDITION, with what to do, unless it is a
// regular file of this user or root that nobody else may touch. For this room's sources only.
base::Result<std::string> ReadSecretFile(const std::string& path);

// Writes beside `path`, makes it durable and gives it its name at the end, so that a crash never
// leaves half a secret under that name. Mode 0600. An existing file is ALREADY_EXISTS.
base::Status WriteNewSecretFile(const std::string& path, std::string_view text);

}  // namespace weighmaster::openssl
