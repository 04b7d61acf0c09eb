#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <initializer_list>
#include <memory>

#include "agent/cage/confinement.h"
#include "agent/os/open_file.h"

namespace weighmaster::agent::cage {
namespace {

// Numbers from 0 on: those of a worker, and no new one.
constexpr rlim_t kMaxDescriptors = kWorkerFile + 1;

bool Limit(int resource, rlim_t value) {
  const struct rlimit limit = {value, value};
  return ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
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
  const scmp_arg_cmp file = {0, SCMP_CMP_EQ, kWorkerFile, 0};
  const scmp_arg_cmp socket = {0, SCMP_CMP_EQ, kWorkerSocket, 0};
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

bool ApplyLimits(const WorkerLimits& limits) {
  return Limit(RLIMIT_CPU, limits.cpu_seconds) && Limit(RLIMIT_FSIZE, 0) && Limit(RLIMIT_CORE, 0) &&
         Limit(RLIMIT_NPROC, 0) && Limit(RLIMIT_NOFILE, kMaxDescriptors) &&
         (limits.address_space_bytes == 0 || Limit(RLIMIT_AS, limits.address_space_bytes));
}

bool ApplyFilter(const WorkerLimits& limits) {
  if (limits.filter == nullptr) return true;
  const struct sock_fprog program = {static_cast<unsigned short>(limits.filter->size()),
                                     const_cast<sock_filter*>(limits.filter->data())};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace weighmaster::agent::cage
