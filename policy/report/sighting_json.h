#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/model/sighting.h"
#include "policy/model/verdict.h"

namespace weighmaster::report {

// What an inventory knows beside the sighting itself; `weighmaster scan` knows none of it.
struct SightingContext {
  std::string endpoint_id;  // "" leaves out everything here
  std::string hostname;
  base::WallTime first_seen;
  base::WallTime last_change;
  bool present = true;
};

// One JSON object on one line, without the line's end: the form that `weighmaster scan --json` and
// `weighctl inventory --json` share. docs/formats/inventory-json.md is its specification: keys are
// only ever added; what is not known is null; the path is shown escaped, with `path_base64` beside
// it where escaping changed it.
std::string SightingToJson(const model::Sighting& sighting,
                           const std::optional<model::Verdict>& verdict,
                           const SightingContext& context = {});

}  // namespace weighmaster::report
