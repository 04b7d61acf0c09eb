#pragma once

#include <optional>
#include <string>
#include <vector>

namespace weighmaster::agent::app {

struct Options {
  std::string settings_path = "/etc/weighmaster/agent.yaml";
  bool check_only = false;  // --check-settings
  // --token-file, instead of the settings' enrolment_token_file; "-" is standard input.
  std::optional<std::string> token_file;
  // Set when the program is done already: --help, --version, or a wrong option (2).
  std::optional<int> exit_code;
};

// Prints the help, the version, or what is wrong.
Options ParseOptions(const std::vector<std::string>& words);

}  // namespace weighmaster::agent::app
