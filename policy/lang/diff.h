#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "policy/lang/document.h"

namespace weighmaster::lang {

// One thing that two documents say differently, and its details; each a line of text, escaped for
// display.
struct PolicyChange {
  std::string what;
  std::vector<std::string> details;
};

// In which meaning `after` differs from `before`: name, mode, settings, digests of each list, rules
// that came, went, changed or are judged in another order, the default. How they are written does
// not matter: layout, comments, list files, repeats, the order of digests, and whatever of a
// condition its normal form leaves out (condition/normal_form.h). Of each list the
// first kMaxDigestsInDiff digests on each side are named, the others counted.
inline constexpr std::size_t kMaxDigestsInDiff = 20;
std::vector<PolicyChange> ChangesBetween(const Document& before, const Document& after);

}  // namespace weighmaster::lang
