#include "agent/journal/state_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/keys.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::journal {
namespace {

TEST(StateFile, SaysOfADamagedFileWhatToDo) {
  const tests::TempFolder folder;
  const std::string path = folder / "state.db";
  std::ofstream(path) << std::string(8192, 'x');
  const auto opened = OpenStateFile(path);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), base::ErrorCode::kDataLoss);
  EXPECT_NE(opened.error().message().find("move it aside"), std::string::npos);
}

TEST(StateFile, FindsDamageBehindAnIntactBeginning) {
  const tests::TempFolder folder;
  const std::string path = folder / "state.db";
  {
    const auto database = OpenStateFile(path);
    ASSERT_TRUE((*database)
                    ->Execute("CREATE TABLE t (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION "
                              "ALL SELECT i + 1 FROM n WHERE i < 9000) INSERT INTO t "
                              "SELECT hex(i) FROM n")
                    .has_value());
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 * 5);
  file << std::string(4096, 'x');
  file.close();
  EXPECT_EQ(OpenStateFile(path).error().code(), base::ErrorCode::kDataLoss);
}

TEST(StateFile, MovesADamagedFileAsideWithAllThatBelongsToIt) {
  const tests::TempFolder folder;
  const std::string path = folder / "state.db";
  std::ofstream(path) << "damaged";
  std::ofstream(path + "-wal") << "log";
  const auto aside = MoveStateFileAside(path, tests::kTestEpoch);
  ASSERT_TRUE(aside.has_value());
  EXPECT_TRUE(std::filesystem::exists(*aside));
  EXPECT_TRUE(std::filesystem::exists(*aside + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(path + "-wal"));
  EXPECT_TRUE(OpenStateFile(path).has_value()) << "a new file takes its place";
}

}  // namespace
}  // namespace weighmaster::agent::journal
