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
  EXPECT_FALSE(sniffed.Contains(kFileSystem, SomeFile()));
  sniffed.Insert(kFileSystem, SomeFile());
  EXPECT_TRUE(sniffed.Contains(kFileSystem, SomeFile()));
}

TEST(SniffedFiles, DoesNotKnowAFileThatIsAnotherOrHasChanged) {
  base::SeededRandom random(1);
  SniffedFiles sniffed(random);
  sniffed.Insert(kFileSystem, SomeFile());
  EXPECT_FALSE(sniffed.Contains("another", SomeFile())) << "mounted where the other one was";
  for (std::uint64_t os::FileStatus::*const field :
       {&os::FileStatus::device, &os::FileStatus::inode, &os::FileStatus::size_bytes}) {
    os::FileStatus other = SomeFile();
    ++(other.*field);
    EXPECT_FALSE(sniffed.Contains(kFileSystem, other));
  }
  for (std::int64_t os::FileStatus::*const field :
       {&os::FileStatus::modified_ns, &os::FileStatus::changed_ns}) {
    os::FileStatus other = SomeFile();
    ++(other.*field);
    EXPECT_FALSE(sniffed.Contains(kFileSystem, other));
  }
}

TEST(SniffedFiles, ForgetsEverythingAtItsLimit) {
  base::SeededRandom random(1);
  SniffedFiles sniffed(random);
  os::FileStatus status = SomeFile();
  for (std::size_t i = 0; i <= base::limits::kMaxSniffedFiles; ++i) {
    status.inode = i;
    sniffed.Insert(kFileSystem, status);
  }
  EXPECT_TRUE(sniffed.Contains(kFileSystem, status));
  status.inode = 0;
  EXPECT_FALSE(sniffed.Contains(kFileSystem, status));
}

}  // namespace
}  // namespace weighmaster::agent::sensors
