#include "agent/inventory/checkpoint_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "policy/base/limits.h"
#include "tests/support/temp_folder.h"

namespace weighmaster::agent::inventory {
namespace {

sensors::HashCheckpoint Checkpoint(const std::string& identity, std::uint64_t offset) {
  sensors::HashCheckpoint checkpoint;
  checkpoint.stamp = {{identity}, 1000, 1, 2};
  checkpoint.offset_bytes = offset;
  checkpoint.state = {1, 2, 3};
  return checkpoint;
}

TEST(CheckpointFile, GivesBackTheLastCheckpointAfterARestart) {
  const tests::TempFolder folder;
  {
    const auto file = CheckpointFile::Open(folder / "c.db");
    ASSERT_TRUE((*file)->Store(Checkpoint("a", 100)).has_value());
    ASSERT_TRUE((*file)->Store(Checkpoint("a", 200)).has_value());
    ASSERT_TRUE((*file)->Store(Checkpoint("b", 300)).has_value());
    ASSERT_TRUE((*file)->Erase({"b"}).has_value());
  }
  const auto file = CheckpointFile::Open(folder / "c.db");
  const auto loaded = (*file)->Load({"a"});
  ASSERT_TRUE(loaded->has_value());
  EXPECT_EQ((*loaded)->offset_bytes, 200);
  EXPECT_EQ((*loaded)->stamp, Checkpoint("a", 0).stamp);
  EXPECT_EQ((*loaded)->state, Checkpoint("a", 0).state);
  EXPECT_FALSE((*file)->Load({"b"})->has_value());
}

TEST(CheckpointFile, ForgetsTheOldestPastItsLimit) {
  const tests::TempFolder folder;
  const auto file = CheckpointFile::Open(folder / "c.db");
  for (std::size_t i = 0; i <= base::limits::kMaxHashCheckpoints; ++i) {
    ASSERT_TRUE((*file)->Store(Checkpoint(std::to_string(i), i)).has_value());
  }
  EXPECT_FALSE((*file)->Load({"0"})->has_value());
  EXPECT_TRUE((*file)->Load({"1"})->has_value());
}

TEST(CheckpointFile, IsMadeAnewWhenDamaged) {
  const tests::TempFolder folder;
  std::ofstream(folder / "c.db") << std::string(4096, 'x');
  const auto file = CheckpointFile::Open(folder / "c.db");
  ASSERT_TRUE(file.has_value());
  EXPECT_TRUE((*file)->Store(Checkpoint("a", 1)).has_value());
}

}  // namespace
}  // namespace weighmaster::agent::inventory
