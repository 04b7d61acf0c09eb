#pragma once

#include <string_view>

namespace weighmaster::base {

// Of everything in this build; CMakeLists.txt has the same, and tests/tidy compares the two.
inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace weighmaster::base
