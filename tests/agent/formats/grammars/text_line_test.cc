#include "agent/formats/grammars/text_line.h"

#include <gtest/gtest.h>

#include "agent/formats/reading/byte_source.h"

namespace weighmaster::agent::formats {
namespace {

TEST(TextLine, AlsoReadsALastLineThatIsNotEnded) {
  const std::string_view text = "one\r\n\nlonger\nlast";
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  Cursor cursor(source, budget);
  EXPECT_EQ(TextLine(cursor, 100), "one");
  EXPECT_EQ(TextLine(cursor, 100), "");
  EXPECT_EQ(TextLine(cursor, 4), "long");
  EXPECT_EQ(TextLine(cursor, 100), "last");
  EXPECT_EQ(TextLine(cursor, 100), std::nullopt);
}

TEST(TextLine, EndsWithTheBudget) {
  const std::string text(100'000, 'x');
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(10'000);
  Cursor cursor(source, budget);
  EXPECT_EQ(TextLine(cursor, 10), std::nullopt);
}

}  // namespace
}  // namespace weighmaster::agent::formats
