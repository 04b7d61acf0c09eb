#include "agent/os/directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <set>
#include <string>

#include "tests/support/temp_folder.h"

namespace weighmaster::agent::os {
namespace {

std::set<std::string> NamesIn(int folder, std::size_t buffer_size) {
  std::vector<std::byte> buffer(buffer_size);
  FolderReader reader(folder, buffer.data(), buffer.size());
  FolderReader::Entry entry;
  std::set<std::string> names;
  while (true) {
    const base::Result<bool> more = reader.Next(entry);
    if (!more.value_or(false)) return names;
    EXPECT_TRUE(names.emplace(entry.name).second);
  }
}

TEST(FolderReader, GivesEveryNameOnceWhateverTheBuffer) {
  const tests::TempFolder folder;
  std::set<std::string> expected = {"with\nnewline", "\xff\xfe", std::string(255, 'x')};
  for (int i = 0; i < 200; ++i) expected.insert("file-" + std::to_string(i));
  for (const std::string& name : expected) folder.Write(name, "");
  for (const std::size_t buffer_size : {std::size_t{1024}, std::size_t{128 * 1024}}) {
    const base::Result<Fd> fd = OpenFolder(folder.path());
    ASSERT_TRUE(fd.has_value());
    EXPECT_EQ(NamesIn(fd->get(), buffer_size), expected);
  }
}

TEST(OpenFolderBeneath, FollowsNoLinkAndDoesNotLeaveTheFolder) {
  const tests::TempFolder folder;
  std::filesystem::create_directories(folder / "a/b");
  std::filesystem::create_directory_symlink(folder / "a", folder / "link");
  const base::Result<Fd> fd = OpenFolder(folder / "a");
  ASSERT_TRUE(fd.has_value());
  EXPECT_TRUE(OpenFolderBeneath(fd->get(), "b").has_value());
  EXPECT_FALSE(OpenFolderBeneath(fd->get(), "..").has_value());
  const base::Result<Fd> top = OpenFolder(folder.path());
  ASSERT_TRUE(top.has_value());
  const base::Result<Fd> through_link = OpenFolderBeneath(top->get(), "link/b");
  ASSERT_FALSE(through_link.has_value());
  EXPECT_EQ(through_link.error().code(), base::ErrorCode::kFailedPrecondition);
}

TEST(OpenFolderBeneath, SaysWhenAnotherMountIsInTheWay) {
  const base::Result<Fd> root = OpenFolder("/");
  ASSERT_TRUE(root.has_value());
  const base::Result<Fd> proc = OpenFolderBeneath(root->get(), "proc");
  ASSERT_FALSE(proc.has_value());
  EXPECT_EQ(proc.error().code(), base::ErrorCode::kOutOfRange);
}

TEST(OpenRegularBeneath, ReachesAFileWhosePathIsLongerThanThePathsOfTheSystem) {
  const tests::TempFolder folder;
  const std::string name(200, 'd');
  base::Result<Fd> current = OpenFolder(folder.path());
  std::string relative;
  for (int depth = 0; depth < 60; ++depth) {
    ASSERT_EQ(::mkdirat(current->get(), name.c_str(), 0700), 0);
    current = OpenFolderBeneath(current->get(), name);
    ASSERT_TRUE(current.has_value());
    relative += name + "/";
  }
  const Fd file(::openat(current->get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  ASSERT_EQ(::write(file.get(), "hello", 5), 5);
  const base::Result<Fd> top = OpenFolder(folder.path());
  const base::Result<OpenedFile> opened = OpenRegularBeneath(top->get(), relative + "file");
  ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
  EXPECT_EQ(opened->status.size_bytes, 5U);
}

}  // namespace
}  // namespace weighmaster::agent::os
