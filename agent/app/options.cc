#include "agent/app/options.h"

#include <cstdio>

#include "policy/base/bytes.h"
#include "policy/base/version.h"

namespace weighmaster::agent::app {
namespace {

constexpr const char* kHelp =
    "Usage: weighmaster-agent [--settings FILE] [--token-file FILE] [--check-settings]\n"
    "\n"
    "Finds model files on this machine, judges them by policy, and tells the server. Runs until\n"
    "SIGTERM or SIGINT. It enrols by itself, with a token from \"weighctl tokens create\".\n"
    "\n"
    "  --settings FILE   the settings (/etc/weighmaster/agent.yaml)\n"
    "  --token-file FILE the file with the enrolment token, instead of the settings'\n"
    "                    enrolment_token_file; - is standard input, read once at the start\n"
    "  --check-settings  read the settings, say what is wrong with them, and exit\n"
    "  --version         print the version\n"
    "\n"
    "The manuals: weighmaster-agent(8), weighmaster-agent.yaml(5).\n";

}  // namespace

Options ParseOptions(const std::vector<std::string>& words) {
  Options options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--help" || words[i] == "-h") {
      std::fputs(kHelp, stdout);
      options.exit_code = 0;
      return options;
    }
    if (words[i] == "--version") {
      std::printf("weighmaster-agent %s\n", std::string(base::kVersion).c_str());
      options.exit_code = 0;
      return options;
    }
    const bool has_value = i + 1 < words.size() && !words[i + 1].empty();
    if (words[i] == "--check-settings") {
      options.check_only = true;
    } else if (words[i] == "--settings" && has_value) {
      options.settings_path = words[++i];
    } else if (words[i] == "--token-file" && has_value) {
      options.token_file = words[++i];
    } else {
      std::fprintf(stderr,
                   "weighmaster-agent: \"%s\" is no option, or lacks its value; see --help\n",
                   base::EscapeForDisplay(words[i]).c_str());
      options.exit_code = 2;
      return options;
    }
  }
  return options;
}

}  // namespace weighmaster::agent::app
