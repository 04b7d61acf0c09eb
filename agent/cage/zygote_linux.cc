#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "agent/cage/channel.h"
#include "agent/cage/zygote.h"
#include "policy/base/limits.h"
#include "weighmaster/local/v1/cage.pb.h"

namespace weighmaster::agent::cage {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uint32_t kMaxWorkers = 64;
constexpr std::size_t kMaxRequestBytes = 4 * base::limits::kKiB;
// A map of tensors with what stands before it, and the marks of its packets.
constexpr std::size_t kMaxTensorAnswerBytes = base::limits::kMaxTensorMapBytes + base::limits::kKiB;
// What a worker whose socket has closed may take to be dead.
constexpr int kDyingMs = 1000;

// Waits for the process's end, so that its own signal is what is reported and not the kill's.
void AwaitEnd(pid_t pid) {
  const os::Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!handle.is_open()) return;
  struct pollfd entry = {handle.get(), POLLIN, 0};
  while (::poll(&entry, 1, kDyingMs) < 0 && errno == EINTR) {
  }
}

}  // namespace

Zygote::~Zygote() {
  for (Worker& worker : idle_) End(worker);
  for (Worker& worker : busy_) End(worker);
}

base::Status Zygote::Run() {
  WM_RETURN_IF_ERROR(TakeSettings());
  if (base::Status ready = Prepare(); !ready.has_value()) {
    return AnswerFailure(0, local::v1::PARSE_OUTCOME_DIED, ready.error().message());
  }
  local::v1::ParseAnswer ready;
  ready.set_outcome(local::v1::PARSE_OUTCOME_DONE);
  WM_RETURN_IF_ERROR(Send(ready));
  while (true) {
    WM_RETURN_IF_ERROR(Dispatch());
    WM_ASSIGN_OR_RETURN(const bool more, ServeOnce());
    if (!more) return {};
  }
}

base::Status Zygote::TakeSettings() {
  WM_ASSIGN_OR_RETURN(const std::optional<Packet> packet,
                      ReceivePacket(socket_, kMaxRequestBytes, std::nullopt));
  local::v1::CageSettings settings;
  if (!packet.has_value() || !settings.ParseFromString(packet->bytes)) {
    return base::InvalidArgument("the first packet was no settings");
  }
  workers_ = std::clamp<std::uint32_t>(settings.workers(), 1, kMaxWorkers);
  parse_time_ = milliseconds(settings.parse_time_ms());
  drop_user_ = settings.drop_user();
  uid_ = settings.run_as_uid();
  gid_ = settings.run_as_gid();
  limits_.cpu_seconds = settings.cpu_seconds();
  limits_.address_space_bytes = settings.address_space_bytes();
  if (!settings.without_seccomp()) {
    WM_ASSIGN_OR_RETURN(filter_, BuildFilter());
    limits_.filter = &filter_;
  }
  return {};
}

base::Status Zygote::Prepare() {
  ::signal(SIGPIPE, SIG_IGN);
  if (drop_user_ && (::setgroups(0, nullptr) != 0 || ::setresgid(gid_, gid_, gid_) != 0 ||
                     ::setresuid(uid_, uid_, uid_) != 0)) {
    return base::FromErrno(errno, "become user " + std::to_string(uid_));
  }
  const struct rlimit no_core = {0, 0};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_DUMPABLE, 0) != 0 ||
      ::setrlimit(RLIMIT_CORE, &no_core) != 0) {
    return base::FromErrno(errno, "give up privileges");
  }
  WM_RETURN_IF_ERROR(TryConfinement(limits_));
  return Fork();
}

base::Status Zygote::Fork() {
  WM_ASSIGN_OR_RETURN(ChannelPair channel, MakeChannel());
  const pid_t zygote = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return base::FromErrno(errno, "fork");
  if (pid == 0) RunWorker(channel.second.get(), zygote, limits_);
  Worker worker;
  worker.pid = pid;
  worker.socket = std::move(channel.first);
  idle_.push_back(std::move(worker));
  return {};
}

base::Status Zygote::Dispatch() {
  while (!waiting_.empty() && busy_.size() < workers_) {
    if (idle_.empty()) WM_RETURN_IF_ERROR(Fork());
    Worker worker = std::move(idle_.back());
    idle_.pop_back();
    const int file = waiting_.front().file.get();
    const char ask = waiting_.front().tensors ? kAskTensors : kAskFacts;
    if (!SendPacket(worker.socket.get(), {&ask, 1}, std::span(&file, 1)).has_value()) {
      // It died before it had a file: the out-of-memory killer, or an administrator. Not the file's
      // fault.
      End(worker);
      continue;
    }
    worker.id = waiting_.front().id;
    worker.tensors = waiting_.front().tensors;
    worker.deadline = steady_clock::now() + parse_time_;
    waiting_.pop_front();
    busy_.push_back(std::move(worker));
  }
  // While the busy ones parse, their successors are made.
  while (idle_.size() <
         std::min<std::size_t>(workers_, std::max<std::size_t>(waiting_.size(), 1))) {
    WM_RETURN_IF_ERROR(Fork());
  }
  return {};
}

base::Result<bool> Zygote::ServeOnce() {
  std::vector<struct pollfd> entries;
  entries.push_back({socket_, static_cast<short>(waiting_.empty() ? POLLIN : 0), 0});
  int timeout = -1;
  if (!busy_.empty()) {
    Deadline first = Deadline::max();
    for (const Worker& worker : busy_) {
      entries.push_back({worker.socket.get(), POLLIN, 0});
      first = std::min(first, worker.deadline);
    }
    const auto left = std::chrono::ceil<milliseconds>(first - steady_clock::now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }
  const int ready = ::poll(entries.data(), entries.size(), timeout);
  if (ready < 0 && errno != EINTR) return base::FromErrno(errno, "poll");
  if (ready > 0) {
    // The agent's end first: when it is gone, so is whoever wants an answer.
    if ((entries[0].revents & (POLLHUP | POLLERR)) != 0 && (entries[0].revents & POLLIN) == 0) {
      return false;
    }
    std::vector<Worker> still_busy;
    for (std::size_t i = 0; i < busy_.size(); ++i) {
      bool busy = true;
      if (entries[i + 1].revents != 0) {
        WM_ASSIGN_OR_RETURN(busy, TakeAnswer(busy_[i]));
      }
      if (busy) still_busy.push_back(std::move(busy_[i]));
    }
    busy_ = std::move(still_busy);
  }
  WM_RETURN_IF_ERROR(EndOverdue());
  if (ready > 0 && (entries[0].revents & POLLIN) != 0) return TakeRequest();
  return true;
}

base::Result<bool> Zygote::TakeRequest() {
  WM_ASSIGN_OR_RETURN(std::optional<Packet> packet,
                      ReceivePacket(socket_, kMaxRequestBytes, std::nullopt));
  if (!packet.has_value()) return false;
  local::v1::ParseRequest request;
  if (!request.ParseFromString(packet->bytes) ||
      static_cast<std::size_t>(request.ids_size()) != packet->descriptors.size()) {
    return base::InvalidArgument("a packet was no request");
  }
  for (int i = 0; i < request.ids_size(); ++i) {
    waiting_.push_back({request.ids(i), request.tensors(),
                        std::move(packet->descriptors[static_cast<std::size_t>(i)])});
  }
  return true;
}

base::Result<bool> Zygote::TakeAnswer(Worker& worker) {
  constexpr std::size_t kMost = 1 + base::limits::kMaxCageAnswerBytes;  // with its mark
  // One byte more than it may be, so that a longer one shows.
  std::string bytes(kMost + 1, '\0');
  const ssize_t n = ::recv(worker.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n <= 0) {
    AwaitEnd(worker.pid);
    const int status = End(worker);
    WM_RETURN_IF_ERROR(
        AnswerFailure(worker.id, local::v1::PARSE_OUTCOME_DIED, DescribeEnd(status)));
    return false;
  }
  const auto count = static_cast<std::size_t>(n);
  worker.answered_bytes += count;
  const bool more = worker.tensors && bytes.front() == kMoreMark;
  const bool too_long = count > kMost || worker.answered_bytes > kMaxTensorAnswerBytes;
  if (!more) End(worker);
  if (too_long || (!more && bytes.front() != kAnswerMark)) {
    if (more) End(worker);
    WM_RETURN_IF_ERROR(AnswerFailure(worker.id, local::v1::PARSE_OUTCOME_BAD_ANSWER,
                                     too_long ? "its answer was too long" : "its answer was none"));
    return false;
  }
  local::v1::ParseAnswer answer;
  answer.set_id(worker.id);
  answer.set_outcome(more ? local::v1::PARSE_OUTCOME_MORE : local::v1::PARSE_OUTCOME_DONE);
  (worker.tensors ? answer.mutable_tensors() : answer.mutable_facts())->assign(bytes, 1, count - 1);
  WM_RETURN_IF_ERROR(Send(answer));
  return more;
}

base::Status Zygote::EndOverdue() {
  const Deadline now = steady_clock::now();
  for (auto worker = busy_.begin(); worker != busy_.end();) {
    if (worker->deadline > now) {
      ++worker;
      continue;
    }
    const std::uint64_t id = worker->id;
    End(*worker);
    worker = busy_.erase(worker);
    WM_RETURN_IF_ERROR(AnswerFailure(id, local::v1::PARSE_OUTCOME_TIMED_OUT, {}));
  }
  return {};
}

int Zygote::End(Worker& worker) {
  int status = 0;
  ::kill(worker.pid, SIGKILL);
  while (::waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

base::Status Zygote::AnswerFailure(std::uint64_t id, int outcome, std::string_view detail) {
  local::v1::ParseAnswer answer;
  answer.set_id(id);
  answer.set_outcome(static_cast<local::v1::ParseOutcome>(outcome));
  answer.set_detail(detail.data(), detail.size());
  return Send(answer);
}

base::Status Zygote::Send(const local::v1::ParseAnswer& answer) const {
  return SendPacket(socket_, answer.SerializeAsString(), {});
}

}  // namespace weighmaster::agent::cage
