#include "agent/os/open_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "tests/support/temp_folder.h"

namespace weighmaster::agent::os {
namespace {

TEST(OpenRegular, ReadsARegularFileAndLeavesItsAccessTime) {
  const tests::TempFolder folder;
  const std::string path = folder.Write("model", "0123456789");
  const struct timespec times[2] = {{1'000'000, 0}, {2'000'000, 7}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  base::Result<OpenedFile> file = OpenRegular(path);
  ASSERT_TRUE(file.has_value()) << file.error().ToString();
  EXPECT_EQ(file->status.size_bytes, 10U);
  EXPECT_EQ(file->status.modified_ns, 2'000'000'000'000'007);
  std::array<char, 16> buffer{};
  EXPECT_EQ(ReadAt(file->fd.get(), 4, buffer.data(), buffer.size()).value(), 6U);
  EXPECT_EQ(std::string_view(buffer.data(), 6), "456789");
  struct stat st = {};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_atim.tv_sec, 1'000'000);
}

TEST(OpenRegular, RefusesEverythingElseWithoutWaiting) {
  const tests::TempFolder folder;
  folder.Write("file", "x");
  std::filesystem::create_symlink(folder / "file", folder / "link");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  std::filesystem::create_directory(folder / "folder");
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "socket").c_str(), sizeof address.sun_path - 1);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address), 0);
  for (const char* name : {"link", "fifo", "folder", "socket"}) {
    const base::Result<OpenedFile> file = OpenRegular(folder / name);
    ASSERT_FALSE(file.has_value()) << name;
    EXPECT_EQ(file.error().code(), base::ErrorCode::kFailedPrecondition) << name;
  }
  EXPECT_FALSE(OpenRegular("/dev/zero").has_value());
  EXPECT_EQ(OpenRegular(folder / "none").error().code(), base::ErrorCode::kNotFound);
}

TEST(ReadSmallFile, RefusesWhatIsLongerThanItsLimit) {
  const tests::TempFolder folder;
  const std::string path = folder.Write("text", std::string(100, 'x'));
  EXPECT_EQ(ReadSmallFile(path, 100).value().size(), 100U);
  EXPECT_EQ(ReadSmallFile(path, 99).error().code(), base::ErrorCode::kResourceExhausted);
}

TEST(UserName, IsEmptyForAUserThatThereIsNot) {
  EXPECT_EQ(UserName(0), "root");
  EXPECT_EQ(UserName(3'999'999'999), "");
}

}  // namespace
}  // namespace weighmaster::agent::os
