#pragma once

#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/ctl/admin_client.h"
#include "server/query/lists.h"

namespace weighmaster::server::ctl {

// Documented in weighctl(1); scripts rely on them.
enum class ExitCode : int { kOk = 0, kFailed = 1, kUsage = 2 };

// The arguments of one command: options with a value ("--uses 3"), flags, and what is left over.
class Arguments {
 public:
  struct Option {
    std::string_view name;   // without "--"
    std::string_view value;  // what --help calls its value; "" makes it a flag, "[TIME]" a flag
                             // after which a length of time may stand
    std::string_view help;
    bool needed = false;  // the command makes no sense without it
  };

  // INVALID_ARGUMENT names the option that is unknown, repeated or without its value, and what
  // option or positional argument is missing or too many. One in brackets may be missing; the last
  // one may come again when its name ends with "...". None may be other than UTF-8: the API has no
  // form for it.
  static base::Result<Arguments> Parse(const std::vector<std::string>& words,
                                       const std::vector<Option>& options,
                                       const std::vector<std::string_view>& positionals);

  bool Has(std::string_view option) const;
  // The value, or `otherwise` when the option was not given.
  std::string Value(std::string_view option, std::string_view otherwise = "") const;
  base::Result<std::uint64_t> Number(std::string_view option, std::uint64_t otherwise) const;
  // "90s", "15m", "36h", "7d".
  base::Result<base::Duration> Duration(std::string_view option, base::Duration otherwise) const;
  // "" for one that was left out.
  const std::string& Positional(std::size_t index) const { return positionals_[index]; }
  // This one and all after it.
  std::span<const std::string> PositionalsFrom(std::size_t index) const {
    return std::span(positionals_).subspan(index);
  }

 private:
  std::vector<std::pair<std::string, std::string>> values_;
  std::vector<std::string> positionals_;
};

// A whole number and nothing else.
base::Result<std::uint64_t> ParseNumber(std::string_view text);

// What a command works with.
struct Context {
  std::ostream& out;
  std::ostream& err;
  ProfileChoice profile;
  const base::Clock& clock;
};

// A time of the API in a table, to the second: "2026-03-01T12:00:00Z"; 0 is "never".
std::string TimeCell(std::int64_t time_us);

struct Command {
  std::string_view name;  // "tokens create"
  std::string_view summary;
  std::vector<std::string_view> positionals;  // as --help names them; "[FIELD]" may be left
                                              // out, "LABEL..." come again
  std::vector<Arguments::Option> options;
  // An error ends the program with kFailed and its message.
  std::function<base::Result<ExitCode>(Context&, const Arguments&)> run;
  const query::List* list = nullptr;  // by whose fields --filter and --order go
};

// "tokens", "create".
std::vector<std::string> NameWords(const Command& command);
// The command's own options, and what every command takes.
std::vector<Arguments::Option> AllOptions(const Command& command);

}  // namespace weighmaster::server::ctl
