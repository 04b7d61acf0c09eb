#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "server/ctl/program/signal_pause.h"
#include "server/ctl/program/weighctl.h"
#include "third_party/posix/system_clock.h"
#include "third_party/protobuf/log.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  weighmaster::protobuf_adapter::TakeOverLog();
  const weighmaster::posix::SystemClock clock;
  const std::vector<std::string> words(argv + 1, argv + argc);
  weighmaster::server::ctl::SignalPause pause;
  return static_cast<int>(weighmaster::server::ctl::RunWeighctl(
      words, {std::cout, std::cerr, clock, pause, isatty(STDOUT_FILENO) == 1}));
}
