#include "agent/sensors/artifacts/sniffed_files.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"

namespace weighmaster::agent::sensors {
namespace {

const std::string kFileSystem = "one";

os::FileStatus SomeFile() {
  os::FileStatus status;
  status.type = os::FileStatus::Type::kRegular;
  status.device = 1;
  status.inode = 2;
  status.links = 1;
  status.size_bytes = 3;
  status.modified_ns = 4;
  status.changed_ns = 5;
  return status;
}

TEST(SniffedFiles, KnowsAFileInTheStateInWhichItWasSniffed) {
  base::SeededRandom random(1);
  SniffedFiles sniffed(random);
  EXPECT_FALSE(sniffed.Contains(kFileSystem, SomeFile(), true));
  sniffed.Insert(kFileSystem, SomeFile(), true);
  EXPECT_TRUE(sniffed.Contains(kFileSystem, SomeFile(), true));
  EXPECT_FALSE(sniffed.Contains(kFileSystem, SomeFile(), false));
}

TEST(SniffedFiles, DoesNotKnowAFileThatIsAnotherOrHasChanged) {
  base::SeededRandom random(1);
  SniffedFiles sniffed(random);
  sniffed.Insert(kFileSystem, SomeFile(), true);
  EXPECT_FALSE(sniffed.Contains("another", SomeFile(), true)) << "mounted where the other one was";
  for (std::uint64_t os::FileStatus::*const field :
       {&os::FileStatus::device, &os::FileStatus::inode, &os::FileStatus::size_bytes}) {
    os::FileStatus other = SomeFile();
    ++(other.*field);
    EXPECT_FALSE(sniffed.Contains(kFileSystem, other, true));
  }
  for (std::int64_t os::FileStatus::*const field :
       {&os::FileStatus::modified_ns, &os::FileStatus::changed_ns}) {
    os::FileStatus other = SomeFile();
    ++(other.*field);
    EXPECT_FALSE(sniffed.Contains(kFileSystem, other, true));
  }
}

TEST(SniffedFiles, ForgetsEverythingAtItsLimit) {
  base::SeededRandom random(1);
  SniffedFiles sniffed(random);
  os::FileStatus status = SomeFile();
  for (std::size_t i = 0; i <= base::limits::kMaxSniffedFiles; ++i) {
    status.inode = i;
    sniffed.Insert(kFileSystem, status, true);
  }
  EXPECT_TRUE(sniffed.Contains(kFileSystem, status, true));
  status.inode = 0;
  EXPECT_FALSE(sniffed.Contains(kFileSystem, status, true));
}

}  // namespace
}  // namespace weighmaster::agent::sensors
