#pragma once

#include "policy/model/rules.h"

namespace weighmaster::lang {

// What can be said of conditions without a subject. Both answer yes only when it is so for every
// subject, and may answer no where it takes more thought than this.

// Whether the condition is never true.
bool IsNeverTrue(const model::Condition& condition);

// Whether `wide` is true wherever `narrow` is.
bool Implies(const model::Condition& narrow, const model::Condition& wide);

}  // namespace weighmaster::lang
