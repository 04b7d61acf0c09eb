#include "agent/ctl/program.h"

#include <cstdlib>
#include <utility>

#include "agent/ctl/commands.h"
#include "policy/base/bytes.h"
#include "policy/base/version.h"

namespace weighmaster::agent::ctl {
namespace {

constexpr const char* kHelp =
    "Usage: weighmaster scan PATH… [--policy FILE] [--json] [--fail-on warn|deny]\n"
    "       weighmaster check PATH… [--socket FILE]\n"
    "       weighmaster why PATH [--socket FILE]\n"
    "       weighmaster status [--socket FILE]\n"
    "       weighmaster doctor [--socket FILE]\n"
    "\n"
    "Says what Weighmaster knows of the models on this machine.\n"
    "\n"
    "  scan    judges files and folders, without agent and server: by the policy document FILE\n"
    "          (the starter policy \"observe\"); --json prints one JSON object a line, --fail-on\n"
    "          exits with 3 from this verdict on (deny)\n"
    "  check   one line each: may this be used?\n"
    "  why     what is known of a file, and which rule decided\n"
    "  status  what the agent is doing\n"
    "  doctor  what keeps the agent from its work, and what to do\n"
    "\n"
    "  --version  print the version\n"
    "\n"
    "check, why, status and doctor ask the agent; --socket FILE or $WEIGHMASTER_SOCKET names its\n"
    "socket (/run/weighmaster/agent.sock). The manual: weighmaster(1).\n"
    "Exit codes: 0 all well, 1 could not look or ask, 2 wrong usage, 3 judged at or above\n"
    "--fail-on, or by check: denied where the policy enforces.\n";

std::string DefaultSocket() {
  const char* const socket = std::getenv("WEIGHMASTER_SOCKET");
  return socket != nullptr && *socket != '\0' ? socket : "/run/weighmaster/agent.sock";
}

bool IsOption(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

// The words after the command, sorted into options and paths. "--" ends the options.
struct Parsed {
  ScanArguments scan;
  std::string socket = DefaultSocket();
};

base::Result<std::string> ValueAfter(const std::vector<std::string>& words, std::size_t& i) {
  // An empty one is a script's variable that was never set. Judged by the starter policy in place
  // of the one that was meant, everything would pass.
  if (i + 1 >= words.size() || words[i + 1].empty()) {
    return base::InvalidArgument(words[i] + " needs a value");
  }
  return words[++i];
}

base::Status ParseOption(const std::vector<std::string>& words, std::size_t& i, bool is_scan,
                         Parsed& parsed) {
  const std::string& word = words[i];
  if (is_scan && word == "--json") {
    parsed.scan.json = true;
  } else if (is_scan && word == "--policy") {
    WM_ASSIGN_OR_RETURN(parsed.scan.policy_file, ValueAfter(words, i));
  } else if (is_scan && word == "--fail-on") {
    WM_ASSIGN_OR_RETURN(const std::string level, ValueAfter(words, i));
    if (level != "warn" && level != "deny") {
      return base::InvalidArgument("--fail-on takes warn or deny, not \"" + level + "\"");
    }
    WM_ASSIGN_OR_RETURN(parsed.scan.fail_on, model::ParseOutcome(level));
  } else if (!is_scan && word == "--socket") {
    WM_ASSIGN_OR_RETURN(parsed.socket, ValueAfter(words, i));
  } else {
    return base::InvalidArgument("there is no option " + word +
                                 " here; a path that begins with - comes after --");
  }
  return {};
}

base::Result<Parsed> ParseWords(const std::vector<std::string>& words, bool is_scan) {
  Parsed parsed;
  bool options_ended = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (!options_ended && words[i] == "--") {
      options_ended = true;
    } else if (!options_ended && IsOption(words[i])) {
      WM_RETURN_IF_ERROR(ParseOption(words, i, is_scan, parsed));
    } else if (words[i].empty()) {
      return base::InvalidArgument("a path is empty");
    } else {
      parsed.scan.paths.push_back(words[i]);
    }
  }
  return parsed;
}

base::Status CheckPathCount(const std::string& command, std::size_t count) {
  if ((command == "scan" || command == "check") && count == 0) {
    return base::InvalidArgument(command + " needs at least one path");
  }
  if (command == "why" && count != 1) return base::InvalidArgument("why takes one path");
  if ((command == "status" || command == "doctor") && count != 0) {
    return base::InvalidArgument(command + " takes no path");
  }
  return {};
}

base::Result<ExitCode> RunCommand(const std::string& command, const Parsed& parsed,
                                  Terminal terminal) {
  if (command == "scan") return Scan(parsed.scan, terminal);
  if (command == "check") return Check(parsed.socket, parsed.scan.paths, terminal);
  if (command == "why") return Why(parsed.socket, parsed.scan.paths[0], terminal);
  if (command == "status") return ShowStatus(parsed.socket, terminal);
  return Doctor(parsed.socket, terminal);
}

// After a command "help" may be a file, and a file that is not looked at must not look like a good
// one.
bool AsksForHelp(const std::vector<std::string>& words) {
  if (words[0] == "help") return true;
  for (const std::string& word : words) {
    if (word == "--") return false;
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

bool IsCommand(const std::string& word) {
  return word == "scan" || word == "check" || word == "why" || word == "status" || word == "doctor";
}

ExitCode Complain(Terminal terminal, const base::Error& error, ExitCode code) {
  terminal.err << "weighmaster: " << base::EscapeForDisplay(error.message()) << "\n";
  return code;
}

}  // namespace

ExitCode RunWeighmaster(const std::vector<std::string>& words, Terminal terminal) {
  if (words.empty()) {
    terminal.err << kHelp;
    return ExitCode::kUsage;
  }
  if (AsksForHelp(words)) {
    terminal.out << kHelp;
    return ExitCode::kOk;
  }
  if (words[0] == "--version") {
    terminal.out << "weighmaster " << base::kVersion << "\n";
    return ExitCode::kOk;
  }
  if (!IsCommand(words[0])) {
    return Complain(terminal,
                    base::InvalidArgument("there is no command \"" + words[0] +
                                          "\"; \"weighmaster --help\" lists them"),
                    ExitCode::kUsage);
  }
  const auto parsed = ParseWords(words, words[0] == "scan");
  if (!parsed.has_value()) return Complain(terminal, parsed.error(), ExitCode::kUsage);
  if (const auto counted = CheckPathCount(words[0], parsed->scan.paths.size());
      !counted.has_value()) {
    return Complain(terminal, counted.error(), ExitCode::kUsage);
  }
  const auto result = RunCommand(words[0], *parsed, terminal);
  if (!result.has_value()) return Complain(terminal, result.error(), ExitCode::kFailed);
  return *result;
}

}  // namespace weighmaster::agent::ctl
