#pragma once

#include <string>
#include <string_view>

#include "policy/base/result.h"

namespace weighmaster::server::identity {

// A new file of mode 0600, durable with its name when this returns. ALREADY_EXISTS when it is
// there.
base::Status WriteNewPrivateFile(const std::string& path, std::string_view content);
// A folder of mode 0700; one that is there already is left as it is.
base::Status MakePrivateFolder(const std::string& path);
// At most `limit` bytes; OUT_OF_RANGE past it.
base::Result<std::string> ReadSmallFile(const std::string& path, std::size_t limit);

}  // namespace weighmaster::server::identity
