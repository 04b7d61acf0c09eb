#pragma once

#include <string_view>

#include "policy/base/result.h"
#include "server/query/filter.h"

namespace weighmaster::server::query {

// The text of a value as one of the field's type; not for texts, which are what they are. The error
// says what was expected.
base::Result<Value> ParseValue(const Field& field, std::string_view text);

}  // namespace weighmaster::server::query
