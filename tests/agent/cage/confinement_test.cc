#include "agent/cage/confinement.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <functional>
#include <string>

#include "agent/cage/channel.h"
#include "agent/os/open_file.h"
#include "policy/base/limits.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::cage {
namespace {

using base::limits::kGiB;

constexpr std::string_view kContent = "the file";
// Above all numbers that a worker has.
constexpr int kSpare = 10;

// Forks children that are confined by what confines a worker, in the place of its parsing.
class ConfinementTest : public testing::Test {
 protected:
  void SetUp() override {
#ifdef WEIGHMASTER_SANITIZED
    GTEST_SKIP() << "sanitizers make system calls that the filter kills for";
#endif
    base::Result<FilterProgram> filter = BuildFilter();
    ASSERT_TRUE(filter.has_value()) << filter.error().ToString();
    filter_ = *std::move(filter);
    base::Result<ChannelPair> channel = MakeChannel();
    ASSERT_TRUE(channel.has_value());
    channel_ = *std::move(channel);
    file_ = std::move(os::OpenRegular(folder_.Write("file", kContent))->fd);
  }

  // How a child ends that is confined and does `what`, as waitpid tells it: status 0 when it comes
  // back with true.
  int StatusAfter(const std::function<bool()>& what) {
    const pid_t child = ::fork();
    if (child == 0) {
      const bool ready = ::dup2(file_.get(), kSpare) == kSpare &&
                         ::dup2(channel_.second.get(), kSpare + 1) == kSpare + 1 &&
                         ::dup2(kSpare, kWorkerFile) == kWorkerFile &&
                         ::dup2(kSpare + 1, kWorkerSocket) == kWorkerSocket;
      const WorkerLimits limits = {30, 1 * kGiB, &filter_};
      if (!ready || !ApplyLimits(limits) || !ApplyFilter(limits)) ::_exit(2);
      ::_exit(what() ? 0 : 1);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  void ExpectKilled(const char* name, const std::function<void()>& attempt) {
    EXPECT_EQ(End(StatusAfter([&] { return attempt(), true; })), "killed by SIGSYS") << name;
  }

  void ExpectDone(const char* name, const std::function<bool()>& what) {
    EXPECT_EQ(End(StatusAfter(what)), "ended with status 0") << name;
  }

  static std::string End(int status) {
    if (WIFEXITED(status)) return "ended with status " + std::to_string(WEXITSTATUS(status));
    return std::string("killed by SIG") + ::sigabbrev_np(WTERMSIG(status));
  }

  const tests::TempFolder folder_;
  FilterProgram filter_;
  ChannelPair channel_;
  os::Fd file_;
};

TEST_F(ConfinementTest, KillsWhoeverReachesForFiles) {
  ExpectKilled("openat", [] { ::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); });
#ifdef SYS_open
  ExpectKilled("open", [] { ::syscall(SYS_open, "/etc/passwd", O_RDONLY); });
#endif
  ExpectKilled("openat2", [] { ::syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", nullptr, 0); });
  ExpectKilled("unlinkat", [] { ::syscall(SYS_unlinkat, AT_FDCWD, "/nowhere", 0); });
  ExpectKilled("memfd_create", [] { ::syscall(SYS_memfd_create, "m", 0); });
  ExpectKilled("dup", [] { ::syscall(SYS_dup, kWorkerFile); });
  ExpectKilled("io_uring_setup", [] { ::syscall(SYS_io_uring_setup, 1, nullptr); });
}

TEST_F(ConfinementTest, KillsWhoeverReachesForTheNetwork) {
  ExpectKilled("socket", [] { ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); });
  ExpectKilled("connect", [] { ::syscall(SYS_connect, kWorkerSocket, nullptr, 0); });
  // Not even the socket that it has takes a descriptor.
  ExpectKilled("sendmsg", [] { ::syscall(SYS_sendmsg, kWorkerSocket, nullptr, 0); });
  ExpectKilled("recvmsg", [] { ::syscall(SYS_recvmsg, kWorkerSocket, nullptr, 0); });
}

TEST_F(ConfinementTest, KillsWhoeverReachesForProcesses) {
  ExpectKilled("execve", [] {
    const char* const arguments[] = {"/bin/true", nullptr};
    ::syscall(SYS_execve, arguments[0], arguments, nullptr);
  });
  ExpectKilled("clone", [] {
    if (::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0) == 0) ::_exit(0);
  });
  ExpectKilled("clone3", [] {
    struct clone_args arguments = {};
    arguments.exit_signal = SIGCHLD;
    if (::syscall(SYS_clone3, &arguments, sizeof(arguments)) == 0) ::_exit(0);
  });
#ifdef SYS_fork
  ExpectKilled("fork", [] {
    if (::syscall(SYS_fork) == 0) ::_exit(0);
  });
#endif
  ExpectKilled("ptrace", [] { ::syscall(SYS_ptrace, PTRACE_TRACEME, 0, nullptr, nullptr); });
  ExpectKilled("process_vm_readv",
               [] { ::syscall(SYS_process_vm_readv, ::getppid(), nullptr, 0, nullptr, 0, 0); });
  ExpectKilled("kill", [] { ::syscall(SYS_kill, 0, 0); });
}

TEST_F(ConfinementTest, KillsWhoeverLoosensIt) {
  ExpectKilled("prlimit64", [] { ::syscall(SYS_prlimit64, 0, RLIMIT_CPU, nullptr, nullptr); });
  ExpectKilled("prctl", [] { ::syscall(SYS_prctl, 0, 0, 0, 0, 0); });
  ExpectKilled("seccomp", [] { ::syscall(SYS_seccomp, 0, 0, nullptr); });
  ExpectKilled("mmap of code", [] {
    ::syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  });
  ExpectKilled("mmap of a file",
               [] { ::syscall(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE, kWorkerFile, 0); });
  ExpectKilled("mprotect to code", [] {
    void* page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ::mprotect(page, 4096, PROT_READ | PROT_EXEC);
  });
}

TEST_F(ConfinementTest, KillsWhoeverUsesAnotherDescriptor) {
  ExpectKilled("pread", [] {
    char byte = 0;
    ::syscall(SYS_pread64, kSpare, &byte, 1, 0);
  });
  ExpectKilled("pread of the socket", [] {
    char byte = 0;
    ::syscall(SYS_pread64, kWorkerSocket, &byte, 1, 0);
  });
  ExpectKilled("write", [] { ::syscall(SYS_write, STDERR_FILENO, "!", 0); });
  ExpectKilled("write to the file", [] { ::syscall(SYS_write, kWorkerFile, "!", 1); });
}

TEST_F(ConfinementTest, LetsAWorkerReadAndAnswer) {
  ExpectDone("pread", [] {
    char bytes[kContent.size()] = {};
    const ssize_t n = ::pread(kWorkerFile, bytes, sizeof(bytes), 0);
    return n == static_cast<ssize_t>(sizeof(bytes)) &&
           std::string_view(bytes, sizeof(bytes)) == kContent;
  });
  ExpectDone("write", [] { return ::write(kWorkerSocket, "answer", 6) == 6; });
  const auto answer = ReceivePacket(channel_.first.get(), 64, std::chrono::seconds(10));
  ASSERT_TRUE(answer.has_value() && answer->has_value());
  EXPECT_EQ((*answer)->bytes, "answer");
  EXPECT_TRUE((*answer)->descriptors.empty());
}

TEST_F(ConfinementTest, LetsAWorkerAllocateAndEnd) {
  ExpectDone("allocation", [] {
    // Large enough for a mapping of its own, moved when it grows.
    std::string text(8 << 20, 'x');
    text.resize(64 << 20, 'y');
    return text.front() == 'x' && text.back() == 'y';
  });
  ExpectDone("mapping", [] {
    constexpr std::size_t kBytes = 1 << 16;
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
    void* pages = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (pages == MAP_FAILED) return false;
    pages = ::mremap(pages, kBytes, 2 * kBytes, MREMAP_MAYMOVE);
    return pages != MAP_FAILED && ::madvise(pages, kBytes, MADV_DONTNEED) == 0 &&
           ::mprotect(pages, kBytes, PROT_READ) == 0 && ::munmap(pages, 2 * kBytes) == 0;
  });
  ExpectDone("time", [] {
    timespec now{};
    return ::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0;
  });
  ExpectDone("futex", [] {
    int word = 0;
    return ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0) == 0;
  });
  ExpectDone("exit", [] {
    ::syscall(SYS_exit, 0);
    return false;
  });
}

TEST_F(ConfinementTest, FailsAnAllocationPastTheLimit) {
  // The kernel refuses; nobody is killed.
  ExpectDone("mapping", [] {
    return ::mmap(nullptr, 2 * kGiB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
  });
}

}  // namespace
}  // namespace weighmaster::agent::cage
