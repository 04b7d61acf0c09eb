#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weighmaster::agent::formats {

// A value that Python wrote down. A value.
struct PythonLiteral {
  enum class Kind : std::uint8_t {
    kNone,
    kBoolean,  // number: 0 or 1
    kInteger,  // number; negative ones and those past 64 bits are kOther
    kOther,    // a number of another kind, or bytes
    kText,
    kTuple,
    kList,
    kDict,  // items: a key, its value, a key …
  };
  Kind kind = Kind::kNone;
  std::uint64_t number = 0;
  std::string text;
  std::vector<PythonLiteral> items;
};

// The literals that ast.literal_eval accepts, as far as array headers are made of them
// (https://docs.python.org/3/reference/lexical_analysis.html): texts with their escapes, prefixes
// and in several pieces, integers in every base and of Python 2 ("3L"), tuples, lists, dicts, a
// value in parentheses, comments. Nothing where it is something else, nests deeper than 16, or
// does not end with the text. What it takes in memory is proportional to the text.
std::optional<PythonLiteral> ReadPythonLiteral(std::string_view text);

}  // namespace weighmaster::agent::formats
