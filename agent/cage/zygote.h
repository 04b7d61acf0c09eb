#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "agent/cage/worker.h"
#include "agent/os/fd.h"
#include "policy/base/result.h"

namespace weighmaster::local::v1 {
class ParseAnswer;
}

namespace weighmaster::agent::cage {

// The process between the agent and the workers: forks them ahead, gives each one file, kills it at
// its deadline, and passes on what it answered without reading it. One thread. Ends when the agent
// closes its end, and at anything on the socket that is not of the protocol; its workers die with
// it.
class Zygote {
 public:
  // `socket` is the agent's; it stays the caller's.
  explicit Zygote(int socket) : socket_(socket) {}
  ~Zygote();
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;

  // Takes its settings, gives up its privileges, says that it is ready, and serves until the end.
  base::Status Run();

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  struct Worker {
    pid_t pid = -1;
    os::Fd socket;
    std::uint64_t id = 0;  // of the file that it has
    bool tensors = false;  // are what is asked for
    std::size_t answered_bytes = 0;
    Deadline deadline;
  };
  struct Waiting {
    std::uint64_t id = 0;
    bool tensors = false;
    os::Fd file;
  };

  base::Status TakeSettings();
  base::Status Prepare();
  base::Status Fork();
  base::Status Dispatch();
  // Waits for the next thing to happen and does it. False: the agent has gone.
  base::Result<bool> ServeOnce();
  base::Result<bool> TakeRequest();
  // False: that was all of it, and the worker is no more.
  base::Result<bool> TakeAnswer(Worker& worker);
  base::Status EndOverdue();
  // Kills and reaps. Returns what waitpid said.
  static int End(Worker& worker);
  base::Status AnswerFailure(std::uint64_t id, int outcome, std::string_view detail);
  base::Status Send(const local::v1::ParseAnswer& answer) const;

  const int socket_;
  // Constant after TakeSettings().
  std::uint32_t workers_ = 1;
  std::chrono::milliseconds parse_time_{0};
  bool drop_user_ = false;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  WorkerLimits limits_;
  FilterProgram filter_;

  std::vector<Worker> idle_;
  std::vector<Worker> busy_;
  std::deque<Waiting> waiting_;
};

}  // namespace weighmaster::agent::cage
