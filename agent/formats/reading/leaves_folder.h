#pragma once

#include <string_view>

namespace weighmaster::agent::formats {

// Whether a path that a file names would lead out of the folder that it is taken in, on any system:
// it is absolute, begins with a drive, or has `..` for a part. An empty one does not.
bool LeavesFolder(std::string_view path);

}  // namespace weighmaster::agent::formats
