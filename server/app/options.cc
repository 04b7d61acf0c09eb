#include "server/app/options.h"

#include <cstdio>
#include <map>
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
    "\n"
    "init   makes a fleet: its certificate authority, its root of trust, its policy key, and a "
    "first\n"
    "       administrator's token. --address is where agents and administrators reach it.\n"
    "serve  runs the server until SIGTERM or SIGINT. --listen is where it listens (the address).\n"
    "       --rest opens the REST gateway there as well. --log-form json writes the log as an "
    "object a\n"
    "       line; --log-level debug, info, warning or error leaves out what is below it.\n"
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

base::Result<Options> Parse(const std::vector<std::string>& words) {
  const bool is_init = words[0] == "init";
  if (!is_init && words[0] != "serve") {
    return base::InvalidArgument("there is no command \"" + words[0] + "\"");
  }
  InitOptions init;
  ServeOptions serve;
  std::string log_form = "text";
  std::string log_level = "info";
  std::map<std::string, std::string*> known = {{"--data", &serve.data_folder}};
  if (is_init) {
    known = {{"--data", &init.data_folder}, {"--address", &init.address}};
  } else {
    known.insert({{"--listen", &serve.listen},
                  {"--rest", &serve.rest},
                  {"--log-form", &log_form},
                  {"--log-level", &log_level}});
  }
  for (std::size_t i = 1; i < words.size(); i += 2) {
    const auto option = known.find(words[i]);
    if (option == known.end()) {
      return base::InvalidArgument("there is no option \"" + words[i] + "\" here");
    }
    if (i + 1 == words.size()) return base::InvalidArgument(words[i] + " needs a value");
    *option->second = words[i + 1];
  }
  if ((is_init ? init.data_folder : serve.data_folder).empty()) {
    return base::InvalidArgument("--data FOLDER is missing");
  }
  if (is_init && init.address.empty()) {
    return base::InvalidArgument("--address HOST:PORT is missing");
  }
  WM_RETURN_IF_ERROR(ReadLog(log_form, log_level, serve.log));
  Options options;
  if (is_init) {
    options.command = std::move(init);
  } else {
    options.command = std::move(serve);
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
