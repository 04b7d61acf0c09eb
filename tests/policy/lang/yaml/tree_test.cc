#include "policy/lang/yaml/tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/base/limits.h"

namespace weighmaster::lang {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ErrorsOf(std::string_view text) {
  Diagnostics diagnostics;
  ReadYaml(text, Reporter("p", diagnostics));
  return diagnostics.ToText();
}

YamlNode Tree(std::string_view text) {
  Diagnostics diagnostics;
  std::optional<YamlNode> root = ReadYaml(text, Reporter("p", diagnostics));
  EXPECT_EQ(diagnostics.ToText(), "");
  return root ? *std::move(root) : YamlNode{};
}

TEST(YamlTree, KeepsTheOrderAndThePlaceOfEverything) {
  const YamlNode root = Tree("b: 1\na:\n  - x\n  - {k: \"v\"}\nempty:\nlast: ~\n");
  ASSERT_EQ(root.kind, YamlNode::Kind::kMap);
  ASSERT_EQ(root.entries.size(), 4U);
  EXPECT_EQ(root.entries[0].key, "b");
  EXPECT_TRUE(root.entries[0].value.plain);
  const YamlNode& list = *root.Find("a");
  ASSERT_EQ(list.items.size(), 2U);
  EXPECT_EQ(list.items[0].at.line, 3U);
  EXPECT_EQ(list.items[0].at.column, 5U);
  const YamlNode& quoted = *list.items[1].Find("k");
  EXPECT_EQ(quoted.text, "v");
  EXPECT_FALSE(quoted.plain);
  EXPECT_EQ(root.Find("empty")->kind, YamlNode::Kind::kNull);
  EXPECT_EQ(root.Find("empty")->at.line, 5U) << "the place of its key, not of what follows";
  EXPECT_EQ(root.Find("nothing"), nullptr);
}

TEST(YamlTree, RefusesRepeatedKeysAndSaysWhereTheFirstIs) {
  EXPECT_EQ(ErrorsOf("a: 1\nb: 2\na: 3\n"),
            "p:3:1: error: the key \"a\" stands twice in this map\n"
            "  hint: the first is at line 1, column 1\n");
}

TEST(YamlTree, RefusesAnchorsAliasesAndTags) {
  EXPECT_THAT(ErrorsOf("a: &x 1\nb: *x\n"), ::testing::AllOf(HasSubstr("p:1:4: error: anchors"),
                                                             HasSubstr("p:2:4: error: aliases")));
  EXPECT_THAT(ErrorsOf("a: !!str 1\n"), HasSubstr("tags"));
}

TEST(YamlTree, RefusesAnAliasBombWithoutExpandingIt) {
  std::string bomb = "a: &a [x, x]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    const std::string last(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [*" + last + ", *" + last + "]\n";
  }
  EXPECT_THAT(ErrorsOf(bomb), HasSubstr("anchors"));
}

TEST(YamlTree, RefusesDeepNesting) {
  const std::size_t limit = base::limits::kMaxDocumentDepth;
  EXPECT_EQ(ErrorsOf(std::string(limit, '[') + std::string(limit, ']')), "");
  EXPECT_THAT(ErrorsOf(std::string(limit + 1, '[') + std::string(limit + 1, ']')),
              HasSubstr("nested deeper than 64"));
  std::string block;
  for (int i = 0; i < 100'000; ++i) block += "- ";
  EXPECT_THAT(ErrorsOf(block), HasSubstr("nested"));
  EXPECT_THAT(ErrorsOf(std::string(500'000, '[')), HasSubstr("nested"));
}

TEST(YamlTree, RefusesKeysThatAreNoText) {
  EXPECT_THAT(ErrorsOf("? [a]\n: 1\n"), HasSubstr("a key must be a text, and here stands a list"));
  EXPECT_THAT(ErrorsOf("~: 1\n"), HasSubstr("here stands nothing"));
}

TEST(YamlTree, RefusesASecondDocument) {
  EXPECT_THAT(ErrorsOf("a: 1\n---\nb: 2\n"), StartsWith("p:2:1: error: a second document"));
}

TEST(YamlTree, RefusesTextThatIsNotUtf8WithItsLine) {
  EXPECT_THAT(ErrorsOf("a: 1\nb: \xff\n"), StartsWith("p:2:1: error: this line is not UTF-8"));
  EXPECT_THAT(ErrorsOf(std::string_view("a: \0\n", 5)), StartsWith("p:1:1: error:"));
}

TEST(YamlTree, PointsToTheBracketThatWasNotClosed) {
  EXPECT_THAT(ErrorsOf("a: 1\nb: [1, 2\nc: 3\n"),
              HasSubstr("the bracket at line 2, column 4 may not be closed"));
}

TEST(YamlTree, SaysWhereTheYamlIsBroken) {
  EXPECT_THAT(ErrorsOf("a: b: c\n"), StartsWith("p:1:5: error: this is not YAML:"));
  EXPECT_THAT(ErrorsOf(""), StartsWith("p:1:1: error: the document is empty"));
  EXPECT_THAT(ErrorsOf("# only a comment\n"), HasSubstr("empty"));
}

}  // namespace
}  // namespace weighmaster::lang
