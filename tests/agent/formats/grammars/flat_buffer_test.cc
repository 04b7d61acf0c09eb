#include "agent/formats/grammars/flat_buffer.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/flat_file.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

namespace flat = tests::flat;

// A file and what reads it.
struct Opened {
  explicit Opened(std::string text, std::uint64_t units = base::limits::kMaxParseWork)
      : bytes(std::move(text)),
        source(base::AsBytes(bytes)),
        budget(units),
        buffer(source, budget, 0, bytes.size()) {}

  std::string bytes;
  MemorySource source;
  WorkBudget budget;
  FlatBuffer buffer;
};

std::string OneText() { return flat::File(flat::Table({{0, flat::Text("text")}})); }

void ExpectBroken(std::string bytes, std::string_view evidence) {
  Opened file(std::move(bytes));
  if (const auto root = file.buffer.Root()) file.buffer.Text(*root, 0, 100);
  EXPECT_FALSE(file.buffer.going());
  EXPECT_NE(file.buffer.broken().find(evidence), std::string::npos) << file.buffer.broken();
}

TEST(FlatBuffer, ReadsFieldsOfEveryKind) {
  Opened file(flat::File(flat::Table({{0, flat::U8(7)},
                                      {2, flat::U32(70'000)},
                                      {3, flat::U64(1ULL << 40)},
                                      {4, flat::Text("a text")},
                                      {5, flat::U32s({1, 2, 3})},
                                      {6, flat::U64s({1ULL << 33})},
                                      {7, flat::Vector({flat::Text("one"), flat::Text("two")})},
                                      {8, flat::Vector({flat::Table({{1, flat::U8(9)}})})},
                                      {9, flat::Table({{0, flat::U32(5)}})}}),
                         "ABCD"));
  FlatBuffer& buffer = file.buffer;
  EXPECT_EQ(buffer.Identifier(), "ABCD");
  const auto root = buffer.Root();
  ASSERT_TRUE(root.has_value());
  EXPECT_EQ(buffer.U8(*root, 0), 7);
  EXPECT_EQ(buffer.U32(*root, 2), 70'000U);
  EXPECT_EQ(buffer.U64(*root, 3), 1ULL << 40);
  EXPECT_EQ(buffer.Text(*root, 4, 100), "a text");
  EXPECT_EQ(buffer.Text(*root, 4, 3), "a t");
  const FlatVector numbers = buffer.Vector(*root, 5, 4);
  ASSERT_EQ(numbers.count, 3U);
  EXPECT_EQ(buffer.U32At(numbers, 2), 3U);
  EXPECT_EQ(buffer.U64At(buffer.Vector(*root, 6, 8), 0), 1ULL << 33);
  EXPECT_EQ(buffer.TextAt(buffer.Vector(*root, 7, 4), 1, 100), "two");
  const auto element = buffer.TableAt(buffer.Vector(*root, 8, 4), 0);
  ASSERT_TRUE(element.has_value());
  EXPECT_EQ(buffer.U8(*element, 1), 9);
  const auto table = buffer.Table(*root, 9);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(buffer.U32(*table, 0), 5U);
  EXPECT_TRUE(buffer.going());
}

TEST(FlatBuffer, GivesTheDefaultOfWhatIsLeftOut) {
  Opened file(flat::File(flat::Table({{1, flat::U8(1)}})));
  const auto root = file.buffer.Root();
  ASSERT_TRUE(root.has_value());
  EXPECT_FALSE(file.buffer.Has(*root, 0));
  EXPECT_TRUE(file.buffer.Has(*root, 1));
  EXPECT_EQ(file.buffer.U8(*root, 0, 42), 42);
  EXPECT_EQ(file.buffer.U32(*root, 9, 43), 43U);
  EXPECT_EQ(file.buffer.U64(*root, 9, 44), 44U);
  EXPECT_EQ(file.buffer.Text(*root, 9, 100), "");
  EXPECT_EQ(file.buffer.Vector(*root, 9, 4).count, 0U);
  EXPECT_FALSE(file.buffer.Table(*root, 9).has_value());
  EXPECT_TRUE(file.buffer.going());
}

TEST(FlatBuffer, ReadsWhatCrossesItsPages) {
  const std::string text(5'000, 'x');
  for (std::size_t shift = 0; shift < 16; ++shift) {
    Opened file(flat::File(flat::Table({{0, flat::Text(text)}, {1, flat::U64(~0ULL / 3)}}), "",
                           std::string(990 + shift, '\0')));
    const auto root = file.buffer.Root();
    ASSERT_TRUE(root.has_value());
    EXPECT_EQ(file.buffer.U64(*root, 1), ~0ULL / 3);
    EXPECT_EQ(file.buffer.Text(*root, 0, 10'000), text);
    EXPECT_TRUE(file.buffer.going()) << file.buffer.broken();
  }
}

TEST(FlatBuffer, ReadsOneThatLiesInsideAFile) {
  const std::string inner = flat::File(flat::Table({{0, flat::Text("inside")}}));
  const std::string bytes = std::string(3'001, 'x') + inner + std::string(3'000, 'x');
  MemorySource source(base::AsBytes(bytes));
  WorkBudget budget;
  FlatBuffer buffer(source, budget, 3'001, 3'001 + inner.size());
  const auto root = buffer.Root();
  ASSERT_TRUE(root.has_value());
  EXPECT_EQ(buffer.Text(*root, 0, 100), "inside");
  FlatBuffer cut(source, budget, 3'001, 3'001 + inner.size() - 1);
  EXPECT_EQ(cut.Text(*root, 0, 100), "");
  EXPECT_NE(cut.broken(), "");
}

TEST(FlatBuffer, SaysWhichRuleIsBrokenFirstAndWhere) {
  // The root's offset, its vtable (6 bytes at 6), the table at 12, the text at 20.
  const std::string good = OneText();
  ASSERT_EQ(good.size(), 29U);
  const auto with = [&good](std::size_t at, const std::string& bytes) {
    std::string changed = good;
    return changed.replace(at, bytes.size(), bytes);
  };
  ExpectBroken("", "leads out of the data at offset 0x0");
  ExpectBroken(with(0, flat::Little(0, 4)), "leads nowhere at offset 0x0");
  ExpectBroken(with(0, flat::Little(29, 4)), "leads out of the data at offset 0x1d");
  ExpectBroken(with(0, flat::Little(~0ULL, 4)), "leads nowhere at offset 0x0");
  ExpectBroken(with(12, flat::Little(13, 4)), "out of the data");
  ExpectBroken(with(12, flat::Little(~0ULL, 4)), "a vtable that is none at offset 0xd");
  ExpectBroken(with(6, flat::Little(3, 2)), "a vtable that is none at offset 0x6");
  ExpectBroken(with(6, flat::Little(200, 2)), "a vtable that is none at offset 0x6");
  ExpectBroken(with(10, flat::Little(3, 2)), "a field that is none at offset 0xa");
  ExpectBroken(with(10, flat::Little(14, 2)), "a field that is none at offset 0xa");
  ExpectBroken(with(16, flat::Little(0, 4)), "leads nowhere at offset 0x10");
  ExpectBroken(with(20, flat::Little(10, 4)), "a count of 10 elements at offset 0x14");
  ExpectBroken(with(20, flat::Little(~0ULL, 4)), "a count of 4294967295 elements");
  ExpectBroken(with(28, "x"), "a text that does not end at offset 0x14");
}

TEST(FlatBuffer, ReadsTablesThatShareAVtableOfAShorterOne) {
  // What Python's builder makes of two tables whose fields begin at the same places.
  std::string bytes = OneText();
  bytes.replace(8, 2, flat::Little(5, 2));
  Opened file(bytes);
  const auto root = file.buffer.Root();
  ASSERT_TRUE(root.has_value());
  EXPECT_EQ(file.buffer.Text(*root, 0, 100), "text");
  EXPECT_TRUE(file.buffer.going());
}

TEST(FlatBuffer, BreaksAtEveryCut) {
  const std::string good = OneText();
  for (std::size_t size = 0; size < good.size(); ++size) ExpectBroken(good.substr(0, size), "");
}

TEST(FlatBuffer, EndsALoopOverAnInventedVectorWithTheBudget) {
  // Two billion tables, all of them the root, in a file of zeros.
  const std::string bytes = flat::File(flat::Table({{0, flat::Piece(flat::Little(1U << 31, 4))}}));
  CountedSource source(base::AsBytes(bytes), 1ULL << 40);
  WorkBudget budget(10'000'000);
  FlatBuffer buffer(source, budget, 0, source.size());
  const auto root = buffer.Root();
  ASSERT_TRUE(root.has_value());
  const FlatVector vector = buffer.Vector(*root, 0, 4);
  EXPECT_EQ(vector.count, 1U << 31);
  std::uint32_t steps = 0;
  for (; steps < vector.count && buffer.going(); ++steps) buffer.U32At(vector, steps);
  EXPECT_TRUE(budget.spent());
  EXPECT_EQ(buffer.broken(), "");
  EXPECT_LT(steps, 1'000'000U);
  EXPECT_LE(source.bytes_read(), 10'000'000U);
}

TEST(FlatBuffer, ReadsNeighboursOnce) {
  std::vector<flat::Value> tables;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    tables.push_back(flat::Table({{0, flat::U32(i)}, {1, flat::Text("a name")}}));
  }
  const std::string bytes = flat::File(flat::Table({{0, flat::Vector(std::move(tables))}}));
  CountedSource source(base::AsBytes(bytes));
  WorkBudget budget;
  FlatBuffer buffer(source, budget, 0, bytes.size());
  const auto root = buffer.Root();
  ASSERT_TRUE(root.has_value());
  const FlatVector vector = buffer.Vector(*root, 0, 4);
  // They lie backwards.
  for (std::uint32_t i = 0; i < vector.count; ++i) {
    const auto table = buffer.TableAt(vector, i);
    ASSERT_TRUE(table.has_value());
    EXPECT_EQ(buffer.U32(*table, 0), i);
    EXPECT_EQ(buffer.Text(*table, 1, 100), "a name");
  }
  EXPECT_LT(source.bytes_read(), 2 * bytes.size());
}

TEST(FlatBuffer, IsKnownByItsIdentifierAndARootInTheFile) {
  const auto begins = [](std::string_view text, std::uint64_t size) {
    return BeginsFlatBuffer({base::AsBytes(text), {}, size}, "ABCD");
  };
  const std::string good = flat::File(flat::Table({{0, flat::U8(1)}}), "ABCD");
  EXPECT_TRUE(begins(good, good.size()));
  EXPECT_FALSE(begins(good, 12));
  EXPECT_FALSE(begins(good.substr(0, 7), good.size()));
  EXPECT_FALSE(begins("textABCD and more of it", 23));
  EXPECT_FALSE(begins(flat::Little(4, 4) + "ABCD" + std::string(20, '\0'), 28));
  EXPECT_FALSE(begins(flat::Little(12, 4) + "ABCE" + std::string(20, '\0'), 28));
}

}  // namespace
}  // namespace weighmaster::agent::formats
