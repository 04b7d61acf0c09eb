#include "agent/formats/arrays/python_literal.h"

#include <gtest/gtest.h>

namespace weighmaster::agent::formats {
namespace {

using Kind = PythonLiteral::Kind;

std::string TextOf(std::string_view literal) {
  const auto value = ReadPythonLiteral(literal);
  return value.has_value() && value->kind == Kind::kText ? value->text : "no text";
}

TEST(PythonLiteral, ReadsTextsHoweverTheyAreWritten) {
  EXPECT_EQ(TextOf("'<f4'"), "<f4");
  EXPECT_EQ(TextOf("\"it's\""), "it's");
  EXPECT_EQ(TextOf("u'a'"), "a");
  EXPECT_EQ(TextOf("r'\\x4f'"), "\\x4f");
  EXPECT_EQ(TextOf("'|\\x4f'"), "|O");
  EXPECT_EQ(TextOf("'\\117\\u004f\\q\\n'"), "OO\\q\n");
  EXPECT_EQ(TextOf("'|' 'O'"), "|O");
  EXPECT_EQ(TextOf("('|'\n 'O')"), "|O");
  EXPECT_EQ(TextOf("'''a\n'b'''"), "a\n'b");
  EXPECT_EQ(TextOf("'\\u00e9'"), "\xc3\xa9");
  for (const char* broken : {"'a", "'a\n'", "'\\x4'", "'\\N{DIGIT ONE}'", "b'a'", "x'a'"}) {
    EXPECT_EQ(TextOf(broken), "no text") << broken;
  }
}

TEST(PythonLiteral, ReadsNumbersOfEveryBase) {
  const auto number = [](std::string_view literal) {
    const auto value = ReadPythonLiteral(literal);
    return value.has_value() && value->kind == Kind::kInteger ? std::optional(value->number)
                                                              : std::nullopt;
  };
  EXPECT_EQ(number("1_000"), 1000U);
  EXPECT_EQ(number(" +7L"), 7U);
  EXPECT_EQ(number("0x1F"), 31U);
  EXPECT_EQ(number("0b11"), 3U);
  EXPECT_EQ(number("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(number("18446744073709551616"), std::nullopt);
  EXPECT_EQ(number("-1"), std::nullopt);
  EXPECT_EQ(number("1.5"), std::nullopt);
  EXPECT_EQ(number("9a"), std::nullopt);
}

TEST(PythonLiteral, TellsATupleFromAValueInParentheses) {
  EXPECT_EQ(ReadPythonLiteral("(3)")->kind, Kind::kInteger);
  EXPECT_EQ(ReadPythonLiteral("(3,)")->kind, Kind::kTuple);
  EXPECT_EQ(ReadPythonLiteral("()")->kind, Kind::kTuple);
  EXPECT_EQ(ReadPythonLiteral("[1, (2, 3), None, True]")->items.size(), 4U);
  EXPECT_EQ(ReadPythonLiteral("{'a': 1, 'b': [],}  # why\n")->items.size(), 4U);
}

TEST(PythonLiteral, RefusesWhatIsNone) {
  for (const char* text :
       {"", "(", "(,)", "[1 2]", "{'a'}", "{'a': 1", "f()", "1 2", "os", "{'a': 1}}", "{**a}"}) {
    EXPECT_FALSE(ReadPythonLiteral(text).has_value()) << text;
  }
  const std::string deep(100'000, '[');
  EXPECT_FALSE(ReadPythonLiteral(deep).has_value());
}

}  // namespace
}  // namespace weighmaster::agent::formats
