#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/base/result.h"
#include "server/query/lists.h"

namespace weighmaster::server::query {

// A value of a field: bytes where IsBytes(type), otherwise a number.
using Value = std::variant<std::int64_t, std::string>;

enum class Comparison : std::uint8_t {
  kEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kStarts,    // texts; never with the empty one
  kEnds,      // likewise
  kContains,  // texts
  kPresent,   // the row has one at all; no value
};

// `field` is one of the list's. A row that lacks it does not match, whatever the comparison; a text
// that is lacking is the empty text.
struct Term {
  const Field* field = nullptr;
  Comparison comparison = Comparison::kEqual;
  Value value;
};

// A filter as a tree. Logic has two values: what does not match matches under kNot.
struct Filter {
  enum class Kind : std::uint8_t { kTerm, kAll, kAny, kNot };
  Kind kind = Kind::kTerm;
  Term term;                  // kTerm
  std::vector<Filter> parts;  // kAll, kAny: at least two; kNot: one
};

// Reads a filter in the grammar of docs/formats/filters.md (AIP-160). A blank text is no filter.
// INVALID_ARGUMENT says in which column what is wrong, and which field may have been meant; beyond
// limits::kMaxFilterBytes, kMaxFilterTerms or kMaxFilterDepth it says so.
base::Result<std::optional<Filter>> ParseFilter(const List& list, std::string_view text);

// Whether a comparison of this field is part of it.
bool Names(const Filter& filter, std::string_view field);

}  // namespace weighmaster::server::query
