#include "server/ctl/program/weighctl.h"

#include <algorithm>
#include <sstream>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "policy/base/version.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/program/completion.h"
#include "server/ctl/program/context_commands.h"
#include "server/ctl/trust/root_commands.h"

namespace weighmaster::server::ctl {
namespace {

namespace limits = base::limits;

std::vector<Command> AllCommands() {
  std::vector<Command> commands;
  for (const std::vector<Command>& group : {
           ContextCommands(),
           CompletionCommands(),
           FleetCommands(),
           InventoryCommands(),
           FindingsCommands(),
           PolicyCommands(),
           ExceptionsCommands(),
           RootCommands(),
           AdminCommands(),
           AuditCommands(),
           EvidenceCommands(),
       }) {
    commands.insert(commands.end(), group.begin(), group.end());
  }
  return commands;
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
    std::string words = "--" + std::string(option.name);
    if (!option.value.empty()) words += " " + std::string(option.value);
    line += option.needed ? " " + words : " [" + words + "]";
  }
  return line;
}

void PrintCommands(std::ostream& out, const std::vector<Command>& commands) {
  std::size_t width = 0;
  for (const Command& command : commands) width = std::max(width, command.name.size());
  for (const Command& command : commands) {
    std::string name(command.name);
    name.resize(width, ' ');
    out << "  " << name << "  " << command.summary << "\n";
  }
}

void PrintHelp(std::ostream& out, const std::vector<Command>& commands) {
  out << "Usage: weighctl COMMAND [ARGUMENT…]\n\n"
         "Asks and steers a Weighmaster server.\n\nCommands:\n";
  PrintCommands(out, commands);
  out << "\nLists take --filter, --order, --limit, --json, --csv and --watch; every command takes\n"
         "--context.\n\"weighctl COMMAND --help\" says more of one. The manual: weighctl(1).\n"
         "Exit codes: 0 done, 1 failed, 2 wrong usage.\n";
}

void PrintCommandHelp(std::ostream& out, const Command& command) {
  out << "Usage: " << Synopsis(command) << "\n\n"
      << "weighctl " << command.name << " " << command.summary << ".\n";
  out << "\nOptions:\n";
  for (const Arguments::Option& option : AllOptions(command)) {
    std::string name = "--" + std::string(option.name);
    if (!option.value.empty()) name += " " + std::string(option.value);
    name.resize(std::max<std::size_t>(name.size(), 20), ' ');
    out << "  " << name << "  " << option.help << "\n";
  }
}

// None where the file of logins can't be read: whoever presses Tab wants no error.
std::vector<std::string> ContextNames() {
  std::vector<std::string> names;
  const auto path = DefaultProfilePath();
  if (!path.has_value()) return names;
  const auto contexts = LoadContexts(*path);
  if (!contexts.has_value()) return names;
  for (const auto& [name, profile] : contexts->profiles) names.push_back(name);
  return names;
}

ExitCode Usage(std::ostream& err, const std::string& message) {
  err << "weighctl: " << base::EscapeForDisplay(message) << "\n";
  return ExitCode::kUsage;
}

// Runs the command again and again, each time into a text that is compared.
base::Status RunWatched(const Command& command, const Arguments& arguments, const Context& context,
                        const Surroundings& around) {
  base::Duration every = limits::kWatchInterval;
  if (!arguments.Value("watch").empty()) {
    WM_ASSIGN_OR_RETURN(every, arguments.Duration("watch", every));
  }
  if (every < limits::kMinWatchInterval) {
    return base::InvalidArgument("--watch looks at most once a second");
  }
  const bool is_for_programs = arguments.Has("json") || arguments.Has("csv");
  const WatchView view{around.out, around.err, around.is_terminal && !is_for_programs,
                       is_for_programs ? around.err : around.out, every};
  return Watch(view, around.pause, around.clock, [&]() -> base::Result<std::string> {
    std::ostringstream text;
    Context once{text, context.err, context.profile, context.clock};
    WM_RETURN_IF_ERROR(command.run(once, arguments));
    return text.str();
  });
}

base::Result<ExitCode> RunOnceOrWatched(const Command& command, const Arguments& arguments,
                                        Context& context, const Surroundings& around) {
  if (!arguments.Has("watch")) return command.run(context, arguments);
  WM_RETURN_IF_ERROR(RunWatched(command, arguments, context, around));
  return ExitCode::kOk;
}

ExitCode Run(const Command& command, const std::vector<std::string>& words, Context context,
             const Surroundings& around) {
  const auto arguments = Arguments::Parse(words, AllOptions(command), command.positionals);
  if (!arguments.has_value()) {
    return Usage(context.err, arguments.error().message() + "; usage: " + Synopsis(command));
  }
  if (arguments->Has("context")) context.profile.context = arguments->Value("context");
  const auto result = RunOnceOrWatched(command, *arguments, context, around);
  if (result.has_value()) return *result;
  context.err << "weighctl: " << base::EscapeForDisplay(result.error().message()) << "\n";
  return ExitCode::kFailed;
}

// "policy" alone, or "policy lnt": whoever has the group right is shown what is in it.
ExitCode NoSuchCommand(const std::vector<std::string>& words, std::vector<Command> commands,
                       const Surroundings& around) {
  const bool is_help = words.size() == 2 && words[1] == "--help";
  std::erase_if(commands, [&](const Command& command) {
    const std::vector<std::string> name = NameWords(command);
    return name.size() < 2 || name[0] != words[0];
  });
  if (is_help && !commands.empty()) {
    PrintCommands(around.out, commands);
    return ExitCode::kOk;
  }
  const std::string name = words[0] + (words.size() > 1 ? " " + words[1] : std::string());
  if (commands.empty()) {
    return Usage(around.err,
                 "there is no command \"" + name + "\"; \"weighctl --help\" lists them");
  }
  Usage(around.err, words.size() > 1 ? "there is no command \"" + name + "\", but there are"
                                     : "\"" + name + "\" is the beginning of");
  PrintCommands(around.err, commands);
  return ExitCode::kUsage;
}

}  // namespace

ExitCode RunWeighctl(const std::vector<std::string>& words, const Surroundings& around) {
  std::ostream& out = around.out;
  std::ostream& err = around.err;
  const std::vector<Command> commands = AllCommands();
  if (words.empty() || words[0] == "--help" || words[0] == "help") {
    PrintHelp(words.empty() ? err : out, commands);
    return words.empty() ? ExitCode::kUsage : ExitCode::kOk;
  }
  if (words[0] == "complete") {
    out << CompletionText(Complete(commands, {words.begin() + 1, words.end()}, ContextNames));
    return ExitCode::kOk;
  }
  if (words[0] == "--version") {
    out << "weighctl " << base::kVersion << "\n";
    return ExitCode::kOk;
  }
  const auto command = std::ranges::find_if(
      commands, [&](const Command& candidate) { return StartsWith(words, NameWords(candidate)); });
  if (command == commands.end()) return NoSuchCommand(words, commands, around);
  const std::vector<std::string> rest(
      words.begin() + static_cast<std::ptrdiff_t>(NameWords(*command).size()), words.end());
  if (std::ranges::find(rest, "--help") != rest.end()) {
    PrintCommandHelp(out, *command);
    return ExitCode::kOk;
  }
  const auto profile = DefaultProfilePath();
  if (!profile.has_value()) return Usage(err, profile.error().message());
  return Run(*command, rest, Context{out, err, {*profile, ContextOfEnvironment()}, around.clock},
             around);
}

}  // namespace weighmaster::server::ctl
