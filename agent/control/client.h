#pragma once

#include <string>
#include <string_view>

#include "agent/control/answerer.h"
#include "policy/base/limits.h"
#include "policy/base/result.h"
#include "policy/base/time.h"

namespace weighmaster::agent::control {

// The other end of the agent's socket, for the `weighmaster` program. Blocks: every call is a
// connection of its own, and no single wait on it is longer than the timeout. Errors are sentences
// for the person at the terminal: UNAVAILABLE when no agent answers, PERMISSION_DENIED for what
// somebody else owns, or whatever the agent said.
class Client {
 public:
  explicit Client(std::string socket_path, base::Duration timeout = base::limits::kControlTimeout);

  base::Status Status(local::v1::StatusAnswer& answer) const;
  // The path is absolute; it is looked up by its bytes and never opened.
  base::Status Why(const model::Path& path, local::v1::WhyAnswer& answer) const;

 private:
  // Sends a serialised request and gives back the serialised answer.
  base::Result<std::string> Exchange(std::string_view request) const;

  const std::string socket_path_;
  const base::Duration timeout_;
};

}  // namespace weighmaster::agent::control
