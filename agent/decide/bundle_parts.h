#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/base/result.h"
#include "proto/wire/trust.h"

namespace weighmaster::agent::decide {

// Which parts of a bundle this build can use.
struct BundleParts {
  std::optional<wire::PartReference> lists;
  std::optional<wire::PartReference> rules;
  bool lists_in_manifest = false;  // also when a feature of them is missing
  bool rules_in_manifest = false;
  std::string missing_features;  // comma-separated, sorted; "" when every part is usable
};

// INVALID_ARGUMENT: two parts of one kind. RESOURCE_EXHAUSTED: a part past limits::kMaxPartBytes.
base::Result<BundleParts> SortParts(const wire::BundleManifest& manifest);

}  // namespace weighmaster::agent::decide
