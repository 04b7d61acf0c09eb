#include "agent/os/file_identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string>

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

// The bytes are stored and sent, so they are compared with what docs/formats/file-identity.md says
// of them and not with what made them.
std::string LittleEndian(std::uint64_t value, std::size_t bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return out;
}

TEST_F(FileIdentityTest, HasTheBytesOfItsFormat) {
  folder_.Write("a", "x");
  constexpr std::size_t kRoom = 128;
  alignas(struct file_handle) std::array<unsigned char, sizeof(struct file_handle) + kRoom>
      buffer{};
  auto* const asked = reinterpret_cast<struct file_handle*>(buffer.data());
  asked->handle_bytes = kRoom;
  int mount = 0;
  if (::name_to_handle_at(fd_.get(), "a", asked, &mount, 0) != 0) {
    GTEST_SKIP() << "no file handles here";
  }
  const std::string handle =
      LittleEndian(static_cast<std::uint32_t>(asked->handle_type), 4) +
      std::string(buffer.begin() + sizeof(struct file_handle),
                  buffer.begin() + sizeof(struct file_handle) + asked->handle_bytes);
  const std::string bytes = Of("a");
  ASSERT_FALSE(bytes.empty());
  std::size_t file_system = 0;
  switch (identity_.kind()) {
    case IdentityKind::kUuidAndHandle:
      EXPECT_EQ(bytes[0], 1);
      file_system = 16;
      break;
    case IdentityKind::kFsidAndHandle: {
      EXPECT_EQ(bytes[0], 2);
      file_system = 8;
      struct statfs st = {};
      ASSERT_EQ(::fstatfs(fd_.get(), &st), 0);
      EXPECT_EQ(std::memcmp(bytes.data() + 1, &st.f_fsid, file_system), 0);
      break;
    }
    case IdentityKind::kDeviceAndInode:
      GTEST_SKIP() << "this file system has no name";
  }
  EXPECT_EQ(bytes.substr(1 + file_system), handle);
}

TEST(FileIdentityWithoutHandles, HasTheBytesOfItsFormat) {
  const base::Result<Fd> proc = OpenFolder("/proc/self");
  ASSERT_TRUE(proc.has_value());
  model::Id boot;
  std::iota(boot.bytes.begin(), boot.bytes.end(), std::uint8_t{0xb0});
  const auto identity = FileSystemIdentity::Of(proc->get(), boot);
  ASSERT_TRUE(identity.has_value());
  if (identity->kind() != IdentityKind::kDeviceAndInode) GTEST_SKIP() << "proc has handles here";
  struct stat st = {};
  ASSERT_EQ(::fstatat(proc->get(), "status", &st, 0), 0);
  EXPECT_EQ(identity->Identify(proc->get(), "status")->bytes,
            "\3" + std::string(base::AsText(boot.view())) + LittleEndian(st.st_dev, 8) +
                LittleEndian(st.st_ino, 8));
}

}  // namespace
}  // namespace weighmaster::agent::os
