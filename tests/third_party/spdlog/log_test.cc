#include "third_party/spdlog/log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "policy/base/limits.h"

namespace weighmaster::logging {
namespace {

class LogTest : public testing::Test {
 protected:
  LogTest()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("log_test_" +
                 std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~LogTest() override {
    EXPECT_TRUE(logging::SetUp({}).has_value());
    std::filesystem::remove_all(folder_);
  }
  LogTest(const LogTest&) = delete;
  LogTest& operator=(const LogTest&) = delete;

  Options ToFile(Form form = Form::kText) const {
    Options options;
    options.form = form;
    options.file = folder_ / "agent.log";
    return options;
  }
  std::vector<std::string> Lines(const std::string& name = "agent.log") const {
    std::ifstream file(folder_ / name);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  const std::filesystem::path folder_;
};

constexpr const char* kTime = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)";

TEST_F(LogTest, WritesTimeLevelComponentAndMessage) {
  ASSERT_TRUE(logging::SetUp(ToFile()).has_value());
  Warning("sync", "the server refused the batch");
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(std::regex_match(
      lines[0], std::regex(std::string(kTime) + " warning sync: the server refused the batch")))
      << lines[0];
}

TEST_F(LogTest, WritesOneJsonObjectALine) {
  ASSERT_TRUE(logging::SetUp(ToFile(Form::kJson)).has_value());
  Error("scan", "cannot read \"a\\b\"");
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 1U);
  // The path's backslash is doubled by the escaping for people, and each of these again by JSON.
  EXPECT_TRUE(std::regex_match(
      lines[0],
      std::regex(
          R"(\{"time":")" + std::string(kTime) +
          R"(","level":"error","component":"scan","message":"cannot read \\"a\\\\\\\\b\\""\})")))
      << lines[0];
}

TEST_F(LogTest, KeepsForeignTextOnItsLine) {
  ASSERT_TRUE(logging::SetUp(ToFile()).has_value());
  Info("scan", "found a\n2026-01-01T00:00:00.000000Z error fake: line\x1b[2J\xff.gguf");
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("a\\x0a2026"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("\\x1b[2J\\xff.gguf"), std::string::npos) << lines[0];
}

TEST_F(LogTest, TakesFormatCharactersLiterally) {
  ASSERT_TRUE(logging::SetUp(ToFile()).has_value());
  Info("scan", "100% {} {0} %n %v");
  ASSERT_EQ(Lines().size(), 1U);
  EXPECT_NE(Lines()[0].find("scan: 100% {} {0} %n %v"), std::string::npos) << Lines()[0];
}

TEST_F(LogTest, LeavesOutWhatIsBelowItsLevel) {
  Options options = ToFile();
  options.level = Level::kWarning;
  ASSERT_TRUE(logging::SetUp(options).has_value());
  Debug("a", "one");
  Info("a", "two");
  Warning("a", "three");
  ASSERT_EQ(Lines().size(), 1U);
  EXPECT_NE(Lines()[0].find("three"), std::string::npos);
}

TEST_F(LogTest, WritesTheSameLineOnlySoOften) {
  ASSERT_TRUE(logging::SetUp(ToFile()).has_value());
  for (int i = 0; i < 1'000; ++i) Info("sync", "cannot reach the server");
  Warning("sync", "cannot reach the server");
  EXPECT_EQ(Lines().size(), base::limits::kMaxLogRepeats + 1);
}

TEST_F(LogTest, RotatesItsFileAndKeepsOnlySoMany) {
  Options options = ToFile();
  options.max_file_bytes = 2'000;
  options.kept_files = 2;
  ASSERT_TRUE(logging::SetUp(options).has_value());
  for (int i = 0; i < 200; ++i) Info("scan", "line number " + std::to_string(i));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    EXPECT_LE(entry.file_size(), options.max_file_bytes) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 3U);
  EXPECT_NE(Lines().back().find("line number 199"), std::string::npos);
}

TEST_F(LogTest, MakesItsFileUnreadableForOthers) {
  ASSERT_TRUE(logging::SetUp(ToFile()).has_value());
  Info("a", "b");
  struct stat found {};
  ASSERT_EQ(stat((folder_ / "agent.log").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0640U);
}

TEST_F(LogTest, SaysWhichFileItCannotOpenAndGoesOnAsBefore) {
  ASSERT_TRUE(logging::SetUp(ToFile()).has_value());
  Options options;
  std::ofstream(folder_ / "file") << "not a folder";
  options.file = folder_ / "file" / "agent.log";
  const base::Status status = logging::SetUp(options);
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message().find(options.file.string()), std::string::npos);
  Info("a", "still here");
  EXPECT_EQ(Lines().size(), 1U);
}

TEST_F(LogTest, WritesToStandardErrorWithoutAFile) {
  ASSERT_TRUE(logging::SetUp(Options{}).has_value());
  testing::internal::CaptureStderr();
  Info("a", "on the terminal");
  EXPECT_NE(testing::internal::GetCapturedStderr().find("info a: on the terminal"),
            std::string::npos);
}

TEST_F(LogTest, KeepsLinesOfManyThreadsWhole) {
  ASSERT_TRUE(logging::SetUp(ToFile()).has_value());
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread] {
      for (int i = 0; i < 50; ++i) {
        Info("thread", std::to_string(thread) + "/" + std::to_string(i) + std::string(200, 'x'));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<std::string> lines = Lines();
  EXPECT_EQ(lines.size(), 200U);
  const std::regex whole(std::string(kTime) + R"( info thread: \d/\d+x{200})");
  for (const std::string& line : lines) EXPECT_TRUE(std::regex_match(line, whole)) << line;
}

}  // namespace
}  // namespace weighmaster::logging
