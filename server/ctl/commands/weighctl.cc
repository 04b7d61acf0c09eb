#include "server/ctl/commands/weighctl.h"

#include <algorithm>
#include <iterator>
#include <sstream>

#include "policy/base/bytes.h"
#include "policy/base/version.h"
#include "server/ctl/commands/groups.h"

namespace weighmaster::server::ctl {
namespace {

std::vector<Command> AllCommands() {
  std::vector<Command> commands = FleetCommands();
  for (auto& more : {InventoryCommands(), PolicyCommands(), ExceptionsCommands(), AdminCommands(),
                     AuditCommands(), EvidenceCommands()}) {
    commands.insert(commands.end(), more.begin(), more.end());
  }
  return commands;
}

std::vector<std::string> Split(std::string_view name) {
  std::istringstream words{std::string(name)};
  return {std::istream_iterator<std::string>(words), {}};
}

bool StartsWith(const std::vector<std::string>& words, const std::vector<std::string>& start) {
  return words.size() >= start.size() && std::equal(start.begin(), start.end(), words.begin());
}

std::string Synopsis(const Command& command) {
  std::string line = "weighctl " + std::string(command.name);
  for (const std::string_view positional : command.positionals) {
    line += " " + std::string(positional);
  }
  for (const Arguments::Option& option : command.options) {
    line += " [--" + std::string(option.name);
    line += option.value.empty() ? "]" : " " + std::string(option.value) + "]";
  }
  return line;
}

void PrintHelp(std::ostream& out, const std::vector<Command>& commands) {
  out << "Usage: weighctl COMMAND [ARGUMENT…]\n\n"
         "Asks and steers a Weighmaster server.\n\nCommands:\n";
  std::size_t width = 0;
  for (const Command& command : commands) width = std::max(width, command.name.size());
  for (const Command& command : commands) {
    std::string name(command.name);
    name.resize(width, ' ');
    out << "  " << name << "  " << command.summary << "\n";
  }
  out << "\n\"weighctl COMMAND --help\" says more of one. The manual: weighctl(1).\n"
         "Exit codes: 0 done, 1 failed, 2 wrong usage.\n";
}

void PrintCommandHelp(std::ostream& out, const Command& command) {
  out << "Usage: " << Synopsis(command) << "\n\n"
      << "weighctl " << command.name << " " << command.summary << ".\n";
  if (!command.options.empty()) out << "\nOptions:\n";
  for (const Arguments::Option& option : command.options) {
    std::string name = "--" + std::string(option.name);
    if (!option.value.empty()) name += " " + std::string(option.value);
    name.resize(std::max<std::size_t>(name.size(), 20), ' ');
    out << "  " << name << "  " << option.help << "\n";
  }
}

ExitCode Usage(std::ostream& err, const std::string& message) {
  err << "weighctl: " << base::EscapeForDisplay(message) << "\n";
  return ExitCode::kUsage;
}

ExitCode Run(const Command& command, const std::vector<std::string>& words, Context context) {
  const auto arguments = Arguments::Parse(words, command.options, command.positionals);
  if (!arguments.has_value()) {
    return Usage(context.err, arguments.error().message() + "; usage: " + Synopsis(command));
  }
  const auto result = command.run(context, *arguments);
  if (result.has_value()) return *result;
  context.err << "weighctl: " << base::EscapeForDisplay(result.error().message()) << "\n";
  return ExitCode::kFailed;
}

}  // namespace

ExitCode RunWeighctl(const std::vector<std::string>& words, std::ostream& out, std::ostream& err,
                     const base::Clock& clock) {
  const std::vector<Command> commands = AllCommands();
  if (words.empty() || words[0] == "--help" || words[0] == "help") {
    PrintHelp(words.empty() ? err : out, commands);
    return words.empty() ? ExitCode::kUsage : ExitCode::kOk;
  }
  if (words[0] == "--version") {
    out << "weighctl " << base::kVersion << "\n";
    return ExitCode::kOk;
  }
  const auto command = std::ranges::find_if(
      commands, [&](const Command& candidate) { return StartsWith(words, Split(candidate.name)); });
  if (command == commands.end()) {
    return Usage(err, "there is no command \"" + words[0] +
                          (words.size() > 1 ? " " + words[1] : std::string()) +
                          "\"; \"weighctl --help\" lists them");
  }
  const std::vector<std::string> rest(
      words.begin() + static_cast<std::ptrdiff_t>(Split(command->name).size()), words.end());
  if (std::ranges::find(rest, "--help") != rest.end()) {
    PrintCommandHelp(out, *command);
    return ExitCode::kOk;
  }
  const auto profile = DefaultProfilePath();
  if (!profile.has_value()) return Usage(err, profile.error().message());
  return Run(*command, rest, Context{out, err, *profile, clock});
}

}  // namespace weighmaster::server::ctl
