#include "server/app/options.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string_view>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/base/version.h"

namespace weighmaster::server::app {
namespace {

constexpr const char* kHelp =
    "Usage: weighmaster-server init --data FOLDER --address HOST:PORT\n"
    "       weighmaster-server serve --data FOLDER [--listen HOST:PORT] [--rest IP:PORT]\n"
    "                                [--log-form text|json] [--log-level LEVEL]\n"
    "       weighmaster-server adopt-root --data FOLDER --root FILE\n"
    "\n"
    "init        makes a fleet: its certificate authority, its root of trust, its policy key, and\n"
    "            a first administrator's token. --address is where agents and administrators\n"
    "            reach it.\n"
    "serve       runs the server until SIGTERM or SIGINT. --listen is where it listens (the\n"
    "            address). --rest opens the REST gateway there as well. --log-form json writes\n"
    "            the log as an object a line; --log-level debug, info, warning or error leaves "
    "out\n"
    "            what is below it.\n"
    "adopt-root  puts the next root of trust, made by \"weighctl root\", in the place of the one\n"
    "            before, while the server stands still.\n"
    "\n"
    "  --version  print the version\n"
    "\n"
    "The manual: weighmaster-server(8). Exit codes: 0 done, 1 failed, 2 wrong usage.\n";

base::Status ReadLog(const std::string& form, const std::string& level, logging::Options& log) {
  const std::map<std::string, logging::Form> forms = {{"text", logging::Form::kText},
                                                      {"json", logging::Form::kJson}};
  const std::map<std::string, logging::Level> levels = {{"debug", logging::Level::kDebug},
                                                        {"info", logging::Level::kInfo},
                                                        {"warning", logging::Level::kWarning},
                                                        {"error", logging::Level::kError}};
  if (!forms.contains(form)) return base::InvalidArgument("--log-form is text or json");
  if (!levels.contains(level)) {
    return base::InvalidArgument("--log-level is debug, info, warning or error");
  }
  log.form = forms.at(form);
  log.level = levels.at(level);
  return {};
}

// An option that a command takes, and where its value goes.
struct Known {
  std::string_view option;
  std::string_view value;
  std::string* out;
  bool needed = true;
};

base::Status ParseValues(const std::vector<std::string>& words, const std::vector<Known>& known) {
  for (std::size_t i = 1; i < words.size(); i += 2) {
    const auto option = std::ranges::find(known, words[i], &Known::option);
    if (option == known.end()) {
      return base::InvalidArgument("there is no option \"" + words[i] + "\" here");
    }
    if (i + 1 == words.size()) return base::InvalidArgument(words[i] + " needs a value");
    *option->out = words[i + 1];
  }
  for (const Known& option : known) {
    if (!option.needed || !option.out->empty()) continue;
    return base::InvalidArgument(std::string(option.option) + " " + std::string(option.value) +
                                 " is missing");
  }
  return {};
}

base::Result<Options> Parse(const std::vector<std::string>& words) {
  Options options;
  if (words[0] == "init") {
    InitOptions init;
    WM_RETURN_IF_ERROR(ParseValues(words, {{"--data", "FOLDER", &init.data_folder},
                                           {"--address", "HOST:PORT", &init.address}}));
    options.command = std::move(init);
  } else if (words[0] == "serve") {
    ServeOptions serve;
    std::string log_form = "text";
    std::string log_level = "info";
    WM_RETURN_IF_ERROR(ParseValues(words, {{"--data", "FOLDER", &serve.data_folder},
                                           {"--listen", "HOST:PORT", &serve.listen, false},
                                           {"--rest", "IP:PORT", &serve.rest, false},
                                           {"--log-form", "FORM", &log_form, false},
                                           {"--log-level", "LEVEL", &log_level, false}}));
    WM_RETURN_IF_ERROR(ReadLog(log_form, log_level, serve.log));
    options.command = std::move(serve);
  } else if (words[0] == "adopt-root") {
    AdoptRootOptions adopt;
    WM_RETURN_IF_ERROR(ParseValues(
        words, {{"--data", "FOLDER", &adopt.data_folder}, {"--root", "FILE", &adopt.root_file}}));
    options.command = std::move(adopt);
  } else {
    return base::InvalidArgument("there is no command \"" + words[0] + "\"");
  }
  return options;
}

Options Done(int exit_code) {
  Options options;
  options.exit_code = exit_code;
  return options;
}

}  // namespace

Options ParseOptions(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") {
      std::fputs(kHelp, stdout);
      return Done(0);
    }
    if (word == "--version") {
      std::printf("weighmaster-server %s\n", std::string(base::kVersion).c_str());
      return Done(0);
    }
  }
  if (words.empty()) {
    std::fputs(kHelp, stderr);
    return Done(2);
  }
  auto options = Parse(words);
  if (options.has_value()) return std::move(*options);
  std::fprintf(stderr, "weighmaster-server: %s; see --help\n",
               base::EscapeForDisplay(options.error().message()).c_str());
  return Done(2);
}

}  // namespace weighmaster::server::app
