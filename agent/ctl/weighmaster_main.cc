#include <unistd.h>

#include <csignal>
#include <iostream>

#include "agent/ctl/program.h"
#include "third_party/protobuf/log.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  weighmaster::protobuf_adapter::TakeOverLog();
  std::ios::sync_with_stdio(false);
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return static_cast<int>(weighmaster::agent::ctl::RunWeighmaster(
      {argv + 1, argv + argc}, {std::cout, std::cerr, terminal}));
}
