#pragma once

#include "policy/model/rules.h"

namespace weighmaster::lang {

// A condition with the same meaning for every subject, in the one form of the many in which it can
// be written as far as spelling goes: texts in lower case where matching ignores case, sorted, each
// once; what stands in an `all` or `any` likewise; no `all` in an `all`, none of one condition, no
// `not` of a `not`. Two conditions that mean the same by more than spelling may still differ.
model::Condition NormalForm(const model::Condition& condition);

}  // namespace weighmaster::lang
