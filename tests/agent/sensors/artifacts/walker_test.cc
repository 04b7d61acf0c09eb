#include "agent/sensors/artifacts/walker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>

#include "agent/os/directory.h"
#include "policy/base/limits.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::sensors {
namespace {

class WalkerTest : public testing::Test {
 protected:
  std::multiset<std::string> Walk(const std::string& path, std::vector<std::string> excluded = {}) {
    Walker walker(std::move(excluded));
    const std::shared_ptr<const Root> root = OpenRoot(path, {}).value();
    std::multiset<std::string> found;
    summary_ = walker.Walk(
        *root, [&found](const FoundFile& file) { found.insert(file.path); }, [](std::uint64_t) {},
        std::stop_token());
    return found;
  }

  const tests::TempFolder folder_;
  WalkSummary summary_;
};

TEST_F(WalkerTest, FindsEveryRegularFileOnceWhateverItIsCalled) {
  std::multiset<std::string> expected;
  for (const std::string& name :
       {std::string("plain"), std::string("a/b/c"), std::string("new\nline/\x1b[31m"),
        std::string("invalid\xff\xfe"), std::string(255, 'n'), "d/" + std::string(255, 'm')}) {
    expected.insert(folder_.Write(name, "x"));
  }
  EXPECT_EQ(Walk(folder_.path()), expected);
  EXPECT_TRUE(summary_.finished);
  EXPECT_EQ(summary_.files, expected.size());
}

TEST_F(WalkerTest, FollowsNoLinkAndVisitsNothingButRegularFiles) {
  folder_.Write("a/file", "x");
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "a/loop");
  std::filesystem::create_symlink(folder_ / "a/file", folder_ / "link");
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(Walk(folder_.path()), std::multiset<std::string>{folder_ / "a/file"});
}

// A chain of folders, each with a file before and after the next one, deeper than any path may be.
TEST_F(WalkerTest, GoesDeeperThanThePathsAndOpenFilesOfTheSystem) {
  const std::string name(100, 'd');
  constexpr int kDepth = 200;  // 20,000 bytes of path, more folders than are kept open
  os::Fd current = *os::OpenFolder(folder_.path());
  for (int i = 0; i < kDepth; ++i) {
    for (const char* file : {"0-file", "z-file"}) {
      const os::Fd made(::openat(current.get(), file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      ASSERT_TRUE(made.is_open());
    }
    // A second folder, so that the walk has to come back to every level.
    ASSERT_EQ(::mkdirat(current.get(), "side", 0700), 0);
    const os::Fd side(::openat(current.get(), "side/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ASSERT_TRUE(side.is_open());
    ASSERT_EQ(::mkdirat(current.get(), name.c_str(), 0700), 0);
    current = *os::OpenFolderBeneath(current.get(), name);
  }
  EXPECT_EQ(Walk(folder_.path()).size(), 3U * kDepth);
  EXPECT_TRUE(summary_.finished);
  EXPECT_EQ(summary_.failed, 0U);
}

TEST_F(WalkerTest, CountsWhatIsBeyondTheLongestPath) {
  const std::string name(250, 'd');
  const int depth = static_cast<int>(base::limits::kMaxPathBytes / 251) + 2;
  os::Fd current = *os::OpenFolder(folder_.path());
  for (int i = 0; i < depth; ++i) {
    ASSERT_EQ(::mkdirat(current.get(), name.c_str(), 0700), 0);
    current = *os::OpenFolderBeneath(current.get(), name);
  }
  const os::Fd made(::openat(current.get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  ASSERT_TRUE(made.is_open());
  EXPECT_TRUE(Walk(folder_.path()).empty());
  EXPECT_EQ(summary_.beyond_limit, 1U);
}

TEST_F(WalkerTest, LeavesOutWhatIsExcluded) {
  folder_.Write("in/file", "x");
  folder_.Write("out/file", "x");
  folder_.Write("outer/file", "x");
  EXPECT_EQ(Walk(folder_.path(), {folder_ / "out"}),
            (std::multiset<std::string>{folder_ / "in/file", folder_ / "outer/file"}));
  EXPECT_EQ(summary_.excluded, 1U);
}

TEST_F(WalkerTest, StaysOnItsMount) {
  // / has other mounts below it on any Linux: proc at least.
  Walker walker({});
  const std::shared_ptr<const Root> root = OpenRoot("/", {}).value();
  std::stop_source stop;
  bool crossed = false;
  std::uint64_t seen = 0;
  walker.Walk(
      *root,
      [&](const FoundFile& file) {
        crossed =
            crossed || file.path.starts_with("/proc/") || file.path.starts_with("/sys/kernel");
        if (++seen > 20'000) stop.request_stop();
      },
      [](std::uint64_t) {}, stop.get_token());
  EXPECT_FALSE(crossed);
}

TEST_F(WalkerTest, StopsAtOnce) {
  for (int i = 0; i < 100; ++i) folder_.Write("file-" + std::to_string(i), "x");
  Walker walker({});
  const std::shared_ptr<const Root> root = OpenRoot(folder_.path(), {}).value();
  std::stop_source stop;
  int seen = 0;
  const WalkSummary summary = walker.Walk(
      *root,
      [&](const FoundFile&) {
        ++seen;
        stop.request_stop();
      },
      [](std::uint64_t) {}, stop.get_token());
  EXPECT_EQ(seen, 1);
  EXPECT_FALSE(summary.finished);
}

TEST_F(WalkerTest, CountsAndNamesFoldersThatItMayNotRead) {
  folder_.Write("open/file", "x");
  folder_.Write("shut/file", "x");
  std::filesystem::permissions(folder_ / "shut", std::filesystem::perms::none);
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  // Root may read everything, so a child looks as nobody; its exit status says what it found.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(9);
    const std::size_t found = Walk(folder_.path()).size();
    const bool named = summary_.unread == std::vector<std::string>{folder_ / "shut"};
    ::_exit(found == 1 && named && summary_.unreadable_folders == 1 && summary_.finished ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace weighmaster::agent::sensors
