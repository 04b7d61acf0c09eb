#pragma once

#include "policy/base/result.h"
#include "policy/model/path.h"

namespace weighmaster::local::v1 {
class StatusAnswer;
class WhyAnswer;
}  // namespace weighmaster::local::v1

namespace weighmaster::agent::control {

// What the agent knows, for those who ask through its socket. Called on the loop; it answers at
// once, from what it holds. Who may see an answer is not its business: see Answer().
class Answerer {
 public:
  virtual ~Answerer() = default;

  virtual base::Status Status(local::v1::StatusAnswer& answer) = 0;

  // The sighting at this path and its verdict; `known` stays false where there is none. The path is
  // absolute and within limits. Nothing is opened: it is a look-up in the inventory.
  virtual base::Status Why(const model::Path& path, local::v1::WhyAnswer& answer) = 0;
};

}  // namespace weighmaster::agent::control
