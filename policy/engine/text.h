#pragma once

#include <string>
#include <string_view>

namespace weighmaster::engine {

// Texts of policies and files are compared with the case of ASCII letters ignored: a licence is
// written "Apache-2.0" here and "apache-2.0" there. Other letters are compared as bytes, so that no
// table of Unicode can make two agents judge differently.
constexpr char FoldCase(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string FoldCase(std::string_view text);
bool EqualIgnoringCase(std::string_view a, std::string_view b);
bool ContainsIgnoringCase(std::string_view text, std::string_view part);

}  // namespace weighmaster::engine
