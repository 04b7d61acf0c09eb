#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace weighmaster::report {

// An object as one line of output, without the line's end. JSON itself escapes no C1 control, DEL,
// line separator or bidirectional override, and terminals obey those; a line that holds one is all
// ASCII.
std::string JsonLine(const nlohmann::ordered_json& json);

// Text as JSON can hold it: bytes that are not UTF-8 come escaped for display.
std::string JsonText(std::string_view text);

}  // namespace weighmaster::report
