#include "agent/formats/reading/cursor.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

TEST(Cursor, ReadsIntegersInTheOrderItIsTold) {
  const base::Bytes bytes = {1, 2, 3, 4, 1, 2, 3, 4, 0xff};
  MemorySource source(bytes);
  WorkBudget budget;
  Cursor cursor(source, budget);
  EXPECT_EQ(cursor.U32(), 0x04030201U);
  cursor.set_order(std::endian::big);
  EXPECT_EQ(cursor.U32(), 0x01020304U);
  EXPECT_EQ(cursor.U16(), std::nullopt);
  EXPECT_EQ(cursor.failure(), ReadFailure::kEnd);
  EXPECT_EQ(cursor.U8(), 0xff);
}

TEST(Cursor, RefusesToSkipPastItsRange) {
  const base::Bytes bytes(100);
  MemorySource source(bytes);
  WorkBudget budget;
  Cursor cursor(source, budget, 10, 20);
  EXPECT_FALSE(cursor.Skip(11));
  EXPECT_FALSE(cursor.Skip(~0ULL));
  EXPECT_TRUE(cursor.Skip(10));
  EXPECT_EQ(cursor.U8(), std::nullopt);
  EXPECT_TRUE(cursor.Peek(1).empty());
}

TEST(Cursor, KeepsOfATextOnlyWhatIsWanted) {
  MemorySource source(base::AsBytes("abcdefgh"));
  WorkBudget budget;
  Cursor cursor(source, budget);
  EXPECT_EQ(cursor.Text(6, 2), "ab");
  EXPECT_EQ(cursor.Text(2, 9), "gh");
  EXPECT_EQ(cursor.Text(1, 0), std::nullopt);
}

TEST(Cursor, FindsTheEndOfALineBeyondItsBuffer) {
  const std::string text = std::string(200'000, 'x') + "\nrest";
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  Cursor cursor(source, budget);
  EXPECT_EQ(cursor.Line(3), "xxx");
  EXPECT_EQ(cursor.offset(), 200'001U);
  EXPECT_EQ(cursor.Line(3), std::nullopt);
}

TEST(Cursor, StopsWhenTheBudgetIsSpent) {
  const base::Bytes bytes(100'000);
  CountedSource source(bytes);
  WorkBudget budget(20'000);
  Cursor cursor(source, budget);
  while (cursor.U8().has_value()) {
  }
  EXPECT_EQ(cursor.failure(), ReadFailure::kBudget);
  EXPECT_TRUE(budget.spent());
  EXPECT_GT(source.bytes_read(), 0U);
  EXPECT_LE(source.bytes_read() * work::kByte, 20'000U);
  // Nothing more is given, not even what was read before.
  EXPECT_FALSE(cursor.Seek(0) && cursor.U8().has_value());
}

}  // namespace
}  // namespace weighmaster::agent::formats
