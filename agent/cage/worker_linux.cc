#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <optional>

#include "agent/cage/channel.h"
#include "agent/cage/file_source.h"
#include "agent/cage/worker.h"
#include "agent/formats/recognise.h"
#include "agent/os/open_file.h"
#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::agent::cage {
namespace {

[[noreturn]] void Exit(WorkerExit how) { ::_exit(static_cast<int>(how)); }

// Takes descriptor kWorkerSocket as its socket and drops every other that the zygote had.
bool KeepOnlySocket(int socket) {
  if (socket != kWorkerSocket && ::dup2(socket, kWorkerSocket) != kWorkerSocket) return false;
  return ::close_range(kWorkerSocket + 1, ~0U, 0) == 0;
}

struct Task {
  char ask = kAskFacts;
  std::uint64_t size = 0;
};

std::optional<Task> ReceiveFile() {
  base::Result<std::optional<Packet>> packet =
      ReceivePacket(kWorkerSocket, base::limits::kKiB, std::nullopt);
  if (!packet.has_value() || !packet->has_value()) return std::nullopt;
  std::vector<os::Fd>& descriptors = (*packet)->descriptors;
  const std::string& ask = (*packet)->bytes;
  if (descriptors.size() != 1 || ask.size() != 1) return std::nullopt;
  const int fd = descriptors[0].Release();
  if (fd != kWorkerFile && ::dup2(fd, kWorkerFile) != kWorkerFile) return std::nullopt;
  const base::Result<os::FileStatus> status = os::StatusOf(kWorkerFile);
  if (!status.has_value() || status->type != os::FileStatus::Type::kRegular) return std::nullopt;
  return Task{ask.front(), status->size_bytes};
}

void Send(char mark, std::string_view bytes) {
  const std::string packet = mark + std::string(bytes);
  ssize_t n = -1;
  do {
    n = ::write(kWorkerSocket, packet.data(), packet.size());
  } while (n < 0 && errno == EINTR);
}

void TellFacts(FileSource& source) {
  v1::Facts facts;
  wire::ToProto(formats::Parse(source), facts);
  const std::string answer = facts.SerializeAsString();
  if (answer.size() > base::limits::kMaxCageAnswerBytes) Exit(WorkerExit::kAnswerTooLong);
  Send(kAnswerMark, answer);
}

void TellTensors(FileSource& source) {
  const base::Bytes map = formats::MapTensors(source);
  std::string_view rest = base::AsText(map);
  while (rest.size() > base::limits::kMaxCageAnswerBytes) {
    Send(kMoreMark, rest.substr(0, base::limits::kMaxCageAnswerBytes));
    rest.remove_prefix(base::limits::kMaxCageAnswerBytes);
  }
  Send(kAnswerMark, rest);
}

}  // namespace

void RunWorker(int socket, pid_t zygote, const WorkerLimits& limits) {
  // The zygote may have died between the fork and this; then nobody would send the signal.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != zygote) Exit(WorkerExit::kNoFile);
  if (!KeepOnlySocket(socket) || !ApplyLimits(limits)) Exit(WorkerExit::kNotConfined);
  try {
    const std::optional<Task> task = ReceiveFile();
    if (!task.has_value()) Exit(WorkerExit::kNoFile);
    if (!ApplyFilter(limits)) Exit(WorkerExit::kNotConfined);
    FileSource source(kWorkerFile, task->size);
    if (task->ask == kAskTensors) {
      TellTensors(source);
    } else {
      TellFacts(source);
    }
  } catch (const std::bad_alloc&) {
    Exit(WorkerExit::kOutOfMemory);
  }
  Exit(WorkerExit::kAnswered);
}

base::Status TryConfinement(const WorkerLimits& limits) {
  const pid_t child = ::fork();
  if (child < 0) return base::FromErrno(errno, "fork");
  if (child == 0) {
    Exit(ApplyLimits(limits) && ApplyFilter(limits) ? WorkerExit::kAnswered
                                                    : WorkerExit::kNotConfined);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(WorkerExit::kAnswered))
    return {};
  return base::FailedPrecondition("this kernel does not grant the confinement of parsers: " +
                                  DescribeEnd(status));
}

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    const char* name = ::sigabbrev_np(number);
    return std::string("killed by SIG") + (name == nullptr ? std::to_string(number) : name);
  }
  switch (static_cast<WorkerExit>(WEXITSTATUS(wait_status))) {
    case WorkerExit::kAnswered:
      return "it ended without an answer";
    case WorkerExit::kNoFile:
      return "it was given no file";
    case WorkerExit::kOutOfMemory:
      return "it ran out of memory";
    case WorkerExit::kAnswerTooLong:
      return "its answer was too long";
    case WorkerExit::kNotConfined:
      return "it could not be confined";
  }
  return "it ended with status " + std::to_string(WEXITSTATUS(wait_status));
}

}  // namespace weighmaster::agent::cage
