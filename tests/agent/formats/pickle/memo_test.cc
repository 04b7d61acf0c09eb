#include "agent/formats/pickle/memo.h"

#include <gtest/gtest.h>

namespace weighmaster::agent::formats {
namespace {

namespace limits = base::limits;

TEST(PickleMemo, RemembersKeysInAnyOrder) {
  PickleMemo<int> memo;
  EXPECT_EQ(memo.Find(0), nullptr);
  for (const int key : {2, 1, 0, 3, 1'000'000'000}) {
    EXPECT_TRUE(memo.Put(static_cast<std::uint64_t>(key), key));
  }
  EXPECT_TRUE(memo.Put(1, 10));
  EXPECT_EQ(*memo.Find(0), 0);
  EXPECT_EQ(*memo.Find(1), 10);
  EXPECT_EQ(*memo.Find(2), 2);
  EXPECT_EQ(*memo.Find(3), 3);
  EXPECT_EQ(*memo.Find(1'000'000'000), 1'000'000'000);
  EXPECT_EQ(memo.Find(4), nullptr);
}

TEST(PickleMemo, CountsEachKeyOnceForMemoize) {
  PickleMemo<int> memo;
  memo.Put(0, 6);
  memo.Put(2, 7);
  memo.Put(1, 7);
  memo.Put(2, 8);  // has a place in the array now
  EXPECT_EQ(memo.size(), 3U);
  EXPECT_EQ(*memo.Find(2), 8);
}

TEST(PickleMemo, HasRoomForAllKeysOfPython2WhichCountFromOne) {
  PickleMemo<std::uint8_t> memo;
  for (std::uint64_t key = 1; key <= limits::kMaxPickleMemo; ++key) ASSERT_TRUE(memo.Put(key, 1));
  EXPECT_TRUE(memo.IsDense(limits::kMaxPickleMemo));
  EXPECT_TRUE(memo.Put(0, 2));
  EXPECT_EQ(*memo.Find(0), 2);
}

TEST(PickleMemo, SaysWhenAValueIsLost) {
  PickleMemo<std::uint8_t> memo;
  for (std::uint64_t key = 0; key < limits::kMaxPickleMemo; ++key) ASSERT_TRUE(memo.Put(key, 1));
  EXPECT_FALSE(memo.Put(limits::kMaxPickleMemo, 1));
  EXPECT_TRUE(memo.Put(0, 2));
  PickleMemo<std::uint8_t> sparse;
  for (std::uint64_t i = 0; i < limits::kMaxPickleSparseMemo; ++i) {
    ASSERT_TRUE(sparse.Put(1'000'000 + 7 * i, 1));
  }
  EXPECT_FALSE(sparse.Put(5, 1));
  EXPECT_TRUE(sparse.Put(1'000'000, 2));
}

}  // namespace
}  // namespace weighmaster::agent::formats
