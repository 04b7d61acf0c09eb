#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "agent/formats/reading/cursor.h"

namespace weighmaster::agent::formats {

// Moves over the next line of a text, also over a last one that no '\n' ends, and returns the first
// `keep` bytes of it without the '\r' before the '\n'. Nothing at the end of the text, and where
// the cursor fails.
std::optional<std::string> TextLine(Cursor& cursor, std::size_t keep);

}  // namespace weighmaster::agent::formats
