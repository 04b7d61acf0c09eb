#include "agent/formats/grammars/json_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

// The tokens of a text, one letter each: { } [ ] k(ey) t(ext) u(nsigned) o(ther number) b n, then
// . at the end or ! where it breaks.
std::string Tokens(std::string_view json) {
  MemorySource source(base::AsBytes(json));
  WorkBudget budget;
  Cursor cursor(source, budget);
  JsonReader reader(cursor);
  std::string tokens;
  while (true) {
    const JsonToken token = reader.Next();
    tokens += "{}[]ktuobn.!"[static_cast<std::size_t>(token)];
    if (token == JsonToken::kEnd || token == JsonToken::kBroken) return tokens;
  }
}

// What the text of one JSON string is; "!" where it is none.
std::string TextOf(std::string_view json) {
  MemorySource source(base::AsBytes(json));
  WorkBudget budget;
  Cursor cursor(source, budget);
  JsonReader reader(cursor);
  if (reader.Next() != JsonToken::kText) return "!";
  return reader.Next() == JsonToken::kEnd ? reader.text() : "!";
}

std::uint64_t HashOf(std::string_view json) {
  MemorySource source(base::AsBytes(json));
  WorkBudget budget;
  Cursor cursor(source, budget);
  JsonReader reader(cursor);
  reader.Next();
  return reader.hash();
}

TEST(JsonReader, GivesEveryKindOfToken) {
  EXPECT_EQ(Tokens(R"( {"a":[1,-1,2.5,1e3,true,false,null,"x",{}],"b":[]} )"),
            "{k[uooobbnt{}]k[]}.");
  EXPECT_EQ(Tokens("7"), "u.");
  EXPECT_EQ(Tokens("[[],[[]]]"), "[[][[]]].");
}

TEST(JsonReader, BreaksWhereTheGrammarDoes) {
  for (const char* json : {"",           " ",
                           "{",          "[",
                           "[1",         "[1,",
                           "[1,]",       "[,1]",
                           "[1 1]",      "[1}",
                           "{]",         "{1:2}",
                           "{\"a\"}",    "{\"a\":}",
                           "{\"a\":1,}", "{\"a\":1 \"b\":2}",
                           "{,}",        "1 1",
                           "{}{}",       "{}x",
                           "tru",        "truE",
                           "nul",        "+1",
                           "-",          "01",
                           "1.",         ".5",
                           "1e",         "1e+",
                           "\"",         "\"a",
                           "'a'",        "[\"a\" \"b\"]",
                           "NaN",        "\xef\xbb\xbf{}"}) {
    EXPECT_EQ(Tokens(json).back(), '!') << json;
  }
  EXPECT_EQ(Tokens(std::string_view("\"a\nb\"")), "!");
  EXPECT_EQ(Tokens(std::string_view("\"\0\"", 3)), "!");
}

TEST(JsonReader, StaysBroken) {
  MemorySource source(base::AsBytes("]{}"));
  WorkBudget budget;
  Cursor cursor(source, budget);
  JsonReader reader(cursor);
  EXPECT_EQ(reader.Next(), JsonToken::kBroken);
  EXPECT_EQ(reader.Next(), JsonToken::kBroken);
}

TEST(JsonReader, ReadsIntegersUpToTheirLimitAndNotPastIt) {
  MemorySource source(base::AsBytes("[18446744073709551615,18446744073709551616,0]"));
  WorkBudget budget;
  Cursor cursor(source, budget);
  JsonReader reader(cursor);
  reader.Next();
  EXPECT_EQ(reader.Next(), JsonToken::kUnsigned);
  EXPECT_EQ(reader.number(), ~0ULL);
  EXPECT_EQ(reader.Next(), JsonToken::kOtherNumber);
  EXPECT_EQ(reader.Next(), JsonToken::kUnsigned);
  EXPECT_EQ(reader.number(), 0U);
}

TEST(JsonReader, UndoesEscapes) {
  EXPECT_EQ(TextOf(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(TextOf(R"("\u0041\u00e9\u20AC\ud83d\ude00")"), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  for (const char* json : {R"("\x41")", R"("\u12")", R"("\u12g4")", R"("\ud83d")", R"("\ud83dx")",
                           R"("\ud83d\u0041")", R"("\ude00")", R"("\)"}) {
    EXPECT_EQ(TextOf(json), "!") << json;
  }
}

TEST(JsonReader, TakesOnlyWellFormedUtf8) {
  EXPECT_EQ(TextOf("\"\xc2\xa2\xed\x9f\xbf\xf4\x8f\xbf\xbf\""),
            "\xc2\xa2\xed\x9f\xbf\xf4\x8f\xbf\xbf");
  for (const char* bytes :
       {"\xff", "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc2", "\xc2\\u00a2"}) {
    EXPECT_EQ(TextOf("\"" + std::string(bytes) + "\""), "!");
  }
}

TEST(JsonReader, HashesTheWholeTextAndKeepsItsBeginning) {
  EXPECT_EQ(HashOf(R"("abc")"), HashOf(R"("\u0061bc")"));
  const std::string longer(3'000, 'x');
  EXPECT_NE(HashOf("\"" + longer + "a\""), HashOf("\"" + longer + "b\""));
  EXPECT_EQ(TextOf("\"" + longer + "\""), longer.substr(0, JsonReader::kKeptBytes));
}

TEST(JsonReader, ReadsTokensThatLieAcrossItsChunks) {
  for (std::size_t before = Cursor::kPeekBytes - 12; before < Cursor::kPeekBytes + 2; ++before) {
    const std::string json = std::string(before, ' ') + R"({"k\u00e9":[12345,true]})";
    EXPECT_EQ(Tokens(json), "{k[ub]}.") << before;
  }
}

TEST(JsonReader, RefusesToNestDeeperThanItsLimit) {
  const auto nested = [](std::size_t depth) {
    return Tokens(std::string(depth, '[') + std::string(depth, ']'));
  };
  EXPECT_EQ(nested(JsonReader::kMaxDepth).back(), '.');
  EXPECT_EQ(nested(JsonReader::kMaxDepth + 1).back(), '!');
}

TEST(JsonReader, StopsWhenTheBudgetIsSpent) {
  const std::string json = "[" + std::string(1'000'000, ' ') + "]";
  MemorySource source(base::AsBytes(json));
  WorkBudget budget(100'000);
  Cursor cursor(source, budget);
  JsonReader reader(cursor);
  EXPECT_EQ(reader.Next(), JsonToken::kArray);
  EXPECT_EQ(reader.Next(), JsonToken::kBroken);
  EXPECT_TRUE(budget.spent());
}

}  // namespace
}  // namespace weighmaster::agent::formats
