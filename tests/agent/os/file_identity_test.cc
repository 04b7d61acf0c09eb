#include "agent/os/file_identity.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "agent/os/directory.h"
#include "agent/os/machine.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::os {
namespace {

class FileIdentityTest : public testing::Test {
 protected:
  std::string Of(const std::string& name) {
    const base::Result<model::FileIdentity> identity = identity_.Identify(fd_.get(), name);
    EXPECT_TRUE(identity.has_value());
    return identity.has_value() ? identity->bytes : "";
  }

  const tests::TempFolder folder_;
  const Fd fd_ = OpenFolder(folder_.path()).value();
  const FileSystemIdentity identity_ =
      FileSystemIdentity::Of(fd_.get(), ReadBootId().value()).value();
};

TEST_F(FileIdentityTest, IsOneForHardLinksAndOutlivesARename) {
  folder_.Write("a", "x");
  std::filesystem::create_hard_link(folder_ / "a", folder_ / "b");
  const std::string before = Of("a");
  EXPECT_EQ(before, Of("b"));
  std::filesystem::rename(folder_ / "a", folder_ / "c");
  EXPECT_EQ(before, Of("c"));
  EXPECT_EQ(before[0], static_cast<char>(identity_.kind()));
}

TEST_F(FileIdentityTest, DiffersBetweenFilesAndAfterTheInodeIsUsedAgain) {
  folder_.Write("a", "x");
  folder_.Write("b", "x");
  EXPECT_NE(Of("a"), Of("b"));
  if (identity_.kind() == IdentityKind::kDeviceAndInode) GTEST_SKIP() << "no file handles here";
  const std::string before = Of("a");
  // Deleting and making again mostly gives the same inode on ext4; the generation tells them apart.
  for (int i = 0; i < 10; ++i) {
    std::filesystem::remove(folder_ / "a");
    folder_.Write("a", "x");
    EXPECT_NE(before, Of("a"));
  }
}

TEST_F(FileIdentityTest, IsTheSameByNameAndByDescriptor) {
  folder_.Write("a", "x");
  const base::Result<OpenedFile> file = OpenRegularAt(fd_.get(), "a");
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(identity_.Identify(file->fd.get(), "")->bytes, Of("a"));
}

TEST(FileIdentityWithoutHandles, RestsOnTheBoot) {
  // proc gives no handles.
  const base::Result<Fd> proc = OpenFolder("/proc/self");
  ASSERT_TRUE(proc.has_value());
  model::Id boot;
  boot.bytes[0] = 1;
  const auto first = FileSystemIdentity::Of(proc->get(), boot);
  ASSERT_TRUE(first.has_value());
  if (first->kind() != IdentityKind::kDeviceAndInode) GTEST_SKIP() << "proc has handles here";
  boot.bytes[0] = 2;
  const auto second = FileSystemIdentity::Of(proc->get(), boot);
  EXPECT_NE(first->Identify(proc->get(), "status")->bytes,
            second->Identify(proc->get(), "status")->bytes);
}

}  // namespace
}  // namespace weighmaster::agent::os
