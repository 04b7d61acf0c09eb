#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <utility>

#include "agent/cage/channel.h"
#include "agent/cage/launch.h"
#include "policy/base/check.h"

namespace weighmaster::agent::cage {
namespace {

constexpr int kSocket = 3;

// The C interface with its two ends tied together.
class SpawnActions {
 public:
  SpawnActions() {
    WM_CHECK(::posix_spawn_file_actions_init(&actions_) == 0);
    WM_CHECK(::posix_spawnattr_init(&attributes_) == 0);
  }
  ~SpawnActions() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  void KeepOnly(int socket) {
    // The socket first: its own number may be one of 0 to 2.
    WM_CHECK(::posix_spawn_file_actions_adddup2(&actions_, socket, kSocket) == 0);
    for (int fd = 0; fd < kSocket; ++fd) {
      WM_CHECK(::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0) == 0);
    }
    WM_CHECK(::posix_spawn_file_actions_addclosefrom_np(&actions_, kSocket + 1) == 0);
  }

  void ResetSignals() {
    sigset_t all;
    sigset_t none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    WM_CHECK(::posix_spawnattr_setsigdefault(&attributes_, &all) == 0);
    WM_CHECK(::posix_spawnattr_setsigmask(&attributes_, &none) == 0);
    WM_CHECK(::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF |
                                                          POSIX_SPAWN_SETSIGMASK |
                                                          POSIX_SPAWN_SETSID) == 0);
  }

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

base::Result<Process> StartProgram(const std::string& program) {
  WM_ASSIGN_OR_RETURN(ChannelPair channel, MakeChannel());
  SpawnActions spawn;
  spawn.KeepOnly(channel.second.get());
  spawn.ResetSignals();
  std::string name = "weighmaster-cage";
  char* const arguments[] = {name.data(), nullptr};
  char* const environment[] = {nullptr};
  Process process;
  const int error = ::posix_spawn(&process.pid, program.c_str(), spawn.actions(),
                                  spawn.attributes(), arguments, environment);
  if (error != 0) return base::FromErrno(error, "start " + program);
  process.socket = std::move(channel.first);
  return process;
}

void EndProcess(Process& process) {
  process.socket.Reset();
  if (process.pid <= 0) return;
  ::kill(process.pid, SIGKILL);
  while (::waitpid(process.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  process.pid = -1;
}

}  // namespace weighmaster::agent::cage
