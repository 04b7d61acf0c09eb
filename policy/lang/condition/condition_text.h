#pragma once

#include <string>
#include <string_view>

#include "policy/model/rules.h"

namespace weighmaster::lang {

// A condition as a document writes it, on one line: "{license: [mit, apache-2.0]}". Reading it
// gives the same condition again. "everything" for the condition of a rule without `when`.
std::string ConditionText(const model::Condition& condition);

// A text as a YAML scalar on one line: plain where it reads as itself, else in double quotes.
std::string YamlScalar(std::string_view text);

}  // namespace weighmaster::lang
