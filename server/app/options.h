#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/app/data_folder.h"
#include "server/app/server.h"

namespace weighmaster::server::app {

struct Options {
  std::variant<InitOptions, ServeOptions, AdoptRootOptions> command;
  // Set when the program is done already: --help, --version, or wrong usage (2).
  std::optional<int> exit_code;
};

// Prints the help, the version, or what is wrong.
Options ParseOptions(const std::vector<std::string>& words);

}  // namespace weighmaster::server::app
