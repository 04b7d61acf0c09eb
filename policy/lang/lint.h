#pragma once

#include "policy/lang/document.h"
#include "policy/lang/yaml/diagnostics.h"

namespace weighmaster::lang {

// What can be said only of the whole document: digests on two lists or twice on one, rules that are
// never reached, `not` over a field that can be unknown, and rules that ask for what is withheld.
void Lint(const Document& document, Diagnostics& diagnostics);

}  // namespace weighmaster::lang
