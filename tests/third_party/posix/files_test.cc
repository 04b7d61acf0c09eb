#include "third_party/posix/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/temp_folder.h"
#include "third_party/posix/ip_address.h"

namespace weighmaster::posix {
namespace {

using base::ErrorCode;

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 07777;
}

TEST(ReadFile, GivesTheWholeFileUpToItsLimit) {
  const tests::TempFolder folder;
  const std::string path = folder.Write("a", "twelve bytes");
  EXPECT_EQ(ReadFile(path, 12).value(), "twelve bytes");
  EXPECT_EQ(ReadFile(path, 11).error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(ReadFile(folder / "none", 12).error().code(), ErrorCode::kNotFound);
}

TEST(ReadFileBelow, StaysInTheFolder) {
  const tests::TempFolder folder;
  folder.Write("policy/lists/approved.txt", "inside");
  folder.Write("secret", "outside");
  const std::string policy = folder / "policy";
  EXPECT_EQ(ReadFileBelow(policy, "lists/approved.txt", 100).value(), "inside");
  EXPECT_EQ(ReadFileBelow(policy, "../secret", 100).error().code(), ErrorCode::kInvalidArgument);
  std::filesystem::create_symlink("../secret", policy + "/link");
  EXPECT_EQ(ReadFileBelow(policy, "link", 100).error().code(), ErrorCode::kInvalidArgument);
  // A folder whose name merely begins with this one's is outside.
  folder.Write("policy2/list", "beside");
  EXPECT_EQ(ReadFileBelow(policy, "../policy2/list", 100).error().code(),
            ErrorCode::kInvalidArgument);
}

TEST(ReplaceFile, ReplacesContentAndModeAndLeavesNothingBeside) {
  const tests::TempFolder folder;
  const std::string path = folder.Write("a", "old");
  ASSERT_TRUE(ReplaceFile(path, "new", 0600).has_value());
  EXPECT_EQ(ReadFile(path, 100).value(), "new");
  EXPECT_EQ(ModeOf(path), 0600U);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(ReplaceFile, GoesOnOverWhatACrashLeftBehind) {
  const tests::TempFolder folder;
  folder.Write("a.new", "half");
  ASSERT_TRUE(ReplaceFile(folder / "a", "whole", 0600).has_value());
  EXPECT_EQ(ReadFile(folder / "a", 100).value(), "whole");
}

TEST(ReplaceFile, LeavesTheOldFileAndNothingBesideItWhenTheNewOneFailsHalfway) {
  const tests::TempFolder folder;
  const std::string path = folder.Write("a", "old");
  const auto half = [](const Sink& sink) -> base::Status {
    WM_RETURN_IF_ERROR(sink("half of"));
    return base::Unavailable("the server has gone");
  };
  EXPECT_EQ(ReplaceFile(path, half, 0600).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(ReadFile(path, 100).value(), "old");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  const auto pieces = [](const Sink& sink) -> base::Status {
    WM_RETURN_IF_ERROR(sink("piece by "));
    return sink("piece");
  };
  ASSERT_TRUE(ReplaceFile(path, pieces, 0600).has_value());
  EXPECT_EQ(ReadFile(path, 100).value(), "piece by piece");
}

TEST(ReadPieces, GivesAllOfAFileAndStopsWhereItsReaderDoes) {
  const tests::TempFolder folder;
  const std::string content(200'000, 'x');
  const std::string path = folder.Write("a", content);
  std::string read;
  ASSERT_TRUE(ReadPieces(path, [&](std::string_view piece) -> base::Status {
                read += piece;
                return {};
              }).has_value());
  EXPECT_EQ(read, content);
  const auto stop = [](std::string_view) -> base::Status { return base::DataLoss("enough"); };
  EXPECT_EQ(ReadPieces(path, stop).error().code(), ErrorCode::kDataLoss);
}

TEST(WriteNewFile, NeverTouchesOneThatIsThere) {
  const tests::TempFolder folder;
  ASSERT_TRUE(WriteNewFile(folder / "a", "first", 0600).has_value());
  EXPECT_EQ(WriteNewFile(folder / "a", "second", 0600).error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(ReadFile(folder / "a", 100).value(), "first");
  EXPECT_EQ(ModeOf(folder / "a"), 0600U);
}

TEST(MakePrivateFolder, MakesFoldersForTheirOwnerAlone) {
  const tests::TempFolder folder;
  ASSERT_TRUE(MakePrivateFolder(folder / "a/b").has_value());
  EXPECT_EQ(ModeOf(folder / "a/b"), 0700U);
  EXPECT_TRUE(MakePrivateFolder(folder / "a/b").has_value());
}

TEST(MakePrivateFolder, RefusesAFolderThatOthersCanRead) {
  const tests::TempFolder folder;
  std::filesystem::create_directory(folder / "open");
  ASSERT_EQ(::chmod((folder / "open").c_str(), 0755), 0);
  EXPECT_EQ(MakePrivateFolder(folder / "open").error().code(), ErrorCode::kFailedPrecondition);
}

TEST(IsIpAddress, TellsNumbersFromNames) {
  for (const char* address : {"127.0.0.1", "::1", "2001:db8::1"}) {
    EXPECT_TRUE(IsIpAddress(address)) << address;
  }
  for (const char* name : {"localhost", "1.2.3", "256.1.1.1", "example.org", ""}) {
    EXPECT_FALSE(IsIpAddress(name)) << name;
  }
}

}  // namespace
}  // namespace weighmaster::posix
