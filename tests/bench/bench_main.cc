#include <csignal>
#include <string_view>

#include "tests/bench/bench.h"

namespace {

using namespace weighmaster;  // NOLINT(google-build-using-namespace): one small main

struct Command {
  std::string_view name;
  std::size_t arguments;
  int (*run)(const bench::Arguments&);
};
constexpr Command kCommands[] = {
    {"walk", 3, bench::Walk},         {"ingest", 3, bench::Ingest},
    {"where", 2, bench::Where},       {"lists", 2, bench::Lists},
    {"simulate", 2, bench::Simulate}, {"enrol", 2, bench::Enrol},
    {"agents", 3, bench::Agents},     {"bare-server", 1, bench::BareServer},
    {"streams", 3, bench::Streams},
};

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const bench::Arguments words(argv + 1, argv + argc);
  for (const Command& command : kCommands) {
    if (words.empty() || words[0] != command.name) continue;
    if (words.size() != command.arguments + 1) break;
    return command.run({words.begin() + 1, words.end()});
  }
  std::fputs("weighmaster_bench: \"python3 tests/bench/run\" calls it; see tests/bench/bench.h\n",
             stderr);
  return 2;
}
