#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/time.h"
#include "policy/model/digest.h"

namespace weighmaster::model {

// Takes one file, by what is in it, out of the reach of what it names, until it expires. Whatever
// else would speak against the file still does.
struct Exception {
  Id id;          // of its own, so that it can be named and taken back
  Sha256 digest;  // of the file, or of its weights
  bool of_weights = false;
  std::string user;       // only files of this user, by name or id; "" for everybody's
  std::string overrides;  // the id of a rule, "denied" or "default"
  std::string reason;     // one sentence; verdicts say it
  base::WallTime expires;
  friend bool operator==(const Exception&, const Exception&) = default;
};

// All exceptions of one scope: an endpoint, or the fleet. A newer version takes the place of an
// older one whole.
struct ExceptionSet {
  std::string fleet_id;
  std::optional<Id> endpoint;  // none: the fleet
  std::uint64_t version = 0;
  base::WallTime issued;
  std::vector<Exception> exceptions;
  friend bool operator==(const ExceptionSet&, const ExceptionSet&) = default;
};

}  // namespace weighmaster::model
