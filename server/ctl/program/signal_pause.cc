#include "server/ctl/program/signal_pause.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <chrono>

namespace weighmaster::server::ctl {
namespace {

constexpr int kEnds[] = {SIGINT, SIGTERM};

extern "C" void EndNow(int /*signal*/) { _exit(0); }

}  // namespace

void SignalPause::Begin() {
  struct sigaction action {};
  action.sa_handler = EndNow;
  for (const int end : kEnds) sigaction(end, &action, nullptr);
}

bool SignalPause::Wait(base::Duration time) {
  sigset_t ends;
  sigemptyset(&ends);
  for (const int end : kEnds) sigaddset(&ends, end);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  const timespec timeout = {.tv_sec = seconds.count(),
                            .tv_nsec = std::chrono::nanoseconds(time - seconds).count()};
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  // Another signal, such as that of a window that was resized, makes the next look come early.
  const bool was_ended = sigtimedwait(&ends, nullptr, &timeout) > 0;
  pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
  return !was_ended;
}

}  // namespace weighmaster::server::ctl
