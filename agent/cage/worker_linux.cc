#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <initializer_list>
#include <memory>
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

// The two descriptors of a worker, at numbers that the filter names.
constexpr int kSocket = 3;
constexpr int kFile = 4;
constexpr rlim_t kDescriptors = 5;

[[noreturn]] void Exit(WorkerExit how) { ::_exit(static_cast<int>(how)); }

bool Limit(int resource, rlim_t value) {
  const struct rlimit limit = {value, value};
  return ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
}

bool ApplyLimits(const WorkerLimits& limits) {
  return Limit(RLIMIT_CPU, limits.cpu_seconds) && Limit(RLIMIT_FSIZE, 0) && Limit(RLIMIT_CORE, 0) &&
         Limit(RLIMIT_NPROC, 0) && Limit(RLIMIT_NOFILE, kDescriptors) &&
         (limits.address_space_bytes == 0 || Limit(RLIMIT_AS, limits.address_space_bytes));
}

bool ApplyFilter(const FilterProgram* filter) {
  if (filter == nullptr) return true;
  const struct sock_fprog program = {static_cast<unsigned short>(filter->size()),
                                     const_cast<sock_filter*>(filter->data())};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Takes descriptor kSocket as its socket and drops every other that the zygote had.
bool KeepOnlySocket(int socket) {
  if (socket != kSocket && ::dup2(socket, kSocket) != kSocket) return false;
  return ::close_range(kSocket + 1, ~0U, 0) == 0;
}

std::optional<std::uint64_t> ReceiveFile() {
  base::Result<std::optional<Packet>> packet =
      ReceivePacket(kSocket, base::limits::kKiB, std::nullopt);
  if (!packet.has_value() || !packet->has_value()) return std::nullopt;
  std::vector<os::Fd>& descriptors = (*packet)->descriptors;
  if (descriptors.size() != 1) return std::nullopt;
  const int fd = descriptors[0].Release();
  if (fd != kFile && ::dup2(fd, kFile) != kFile) return std::nullopt;
  const base::Result<os::FileStatus> status = os::StatusOf(kFile);
  if (!status.has_value() || status->type != os::FileStatus::Type::kRegular) return std::nullopt;
  return status->size_bytes;
}

void ParseAndAnswer(std::uint64_t size) {
  FileSource source(kFile, size);
  v1::Facts facts;
  wire::ToProto(formats::Parse(source), facts);
  const std::string answer = facts.SerializeAsString();
  if (answer.size() > base::limits::kMaxCageAnswerBytes) Exit(WorkerExit::kAnswerTooLong);
  ssize_t n = -1;
  do {
    n = ::write(kSocket, answer.data(), answer.size());
  } while (n < 0 && errno == EINTR);
}

// A system call, where all the conditions on its arguments hold.
bool Allow(scmp_filter_ctx context, int system_call,
           std::initializer_list<scmp_arg_cmp> conditions) {
  return ::seccomp_rule_add_exact_array(context, SCMP_ACT_ALLOW, system_call,
                                        static_cast<unsigned>(conditions.size()),
                                        conditions.begin()) == 0;
}

// Reading the file, answering, memory that is neither a file's nor executable, time, and leaving.
bool AddRules(scmp_filter_ctx context) {
  const scmp_arg_cmp file = {0, SCMP_CMP_EQ, kFile, 0};
  const scmp_arg_cmp socket = {0, SCMP_CMP_EQ, kSocket, 0};
  const scmp_arg_cmp not_executable = {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
  const scmp_arg_cmp anonymous = {3, SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS};
  bool ok = Allow(context, SCMP_SYS(pread64), {file}) &&
            Allow(context, SCMP_SYS(write), {socket}) &&
            Allow(context, SCMP_SYS(mmap), {not_executable, anonymous}) &&
            Allow(context, SCMP_SYS(mprotect), {not_executable});
  for (const int system_call :
       {SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
        SCMP_SYS(clock_gettime), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group)}) {
    ok = ok && Allow(context, system_call, {});
  }
  return ok;
}

}  // namespace

base::Result<FilterProgram> BuildFilter() {
  const std::unique_ptr<void, void (*)(void*)> context(::seccomp_init(SCMP_ACT_KILL_PROCESS),
                                                       &::seccomp_release);
  if (context == nullptr || !AddRules(context.get())) {
    return base::Internal("libseccomp does not take the cage's rules");
  }
  const os::Fd memory(::memfd_create("filter", MFD_CLOEXEC));
  if (!memory.is_open()) return base::FromErrno(errno, "memfd_create");
  if (const int error = ::seccomp_export_bpf(context.get(), memory.get()); error != 0) {
    return base::FromErrno(-error, "seccomp_export_bpf");
  }
  WM_ASSIGN_OR_RETURN(const os::FileStatus status, os::StatusOf(memory.get()));
  FilterProgram program(status.size_bytes / sizeof(sock_filter));
  WM_ASSIGN_OR_RETURN(const std::size_t n, os::ReadAt(memory.get(), 0, program.data(),
                                                      program.size() * sizeof(sock_filter)));
  if (n != status.size_bytes || program.empty()) return base::Internal("half a filter was built");
  return program;
}

void RunWorker(int socket, pid_t zygote, const WorkerLimits& limits) {
  // The zygote may have died between the fork and this; then nobody would send the signal.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != zygote) Exit(WorkerExit::kNoFile);
  if (!KeepOnlySocket(socket) || !ApplyLimits(limits)) Exit(WorkerExit::kNotConfined);
  try {
    const std::optional<std::uint64_t> size = ReceiveFile();
    if (!size.has_value()) Exit(WorkerExit::kNoFile);
    if (!ApplyFilter(limits.filter)) Exit(WorkerExit::kNotConfined);
    ParseAndAnswer(*size);
  } catch (const std::bad_alloc&) {
    Exit(WorkerExit::kOutOfMemory);
  }
  Exit(WorkerExit::kAnswered);
}

base::Status TryConfinement(const WorkerLimits& limits) {
  const pid_t child = ::fork();
  if (child < 0) return base::FromErrno(errno, "fork");
  if (child == 0) {
    Exit(ApplyLimits(limits) && ApplyFilter(limits.filter) ? WorkerExit::kAnswered
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
