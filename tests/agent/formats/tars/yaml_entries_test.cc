#include "agent/formats/tars/yaml_entries.h"

#include <gtest/gtest.h>

#include <string>

namespace weighmaster::agent::formats {
namespace {

// The entries as "key=value;" in the order of the text.
std::string Read(std::string_view text) {
  YamlEntries entries(text);
  std::string all;
  while (const auto entry = entries.Next()) {
    all += entry->key + "=" + (entry->is_unknown ? "?" : entry->value) + ";";
  }
  return all;
}

TEST(YamlEntries, ReadsBlockMappingsAtAnyDepth) {
  EXPECT_EQ(Read("a: 1\nb:\n  c: x y # a comment\n  d:\n    e: 'it''s'\n- f: 2\n  g: 3\n"),
            "a=1;c=x y;e=it's;f=2;g=3;");
  EXPECT_EQ(Read("# only: this\n---\na: b#c\n...\n"), "a=b#c;");
  EXPECT_EQ(Read("a:\nb: 1"), "b=1;");
  EXPECT_EQ(Read("a:\n  value\nb: 1"), "a=value;b=1;");
  EXPECT_EQ(Read("url: http://x:80/\n"), "url=http://x:80/;");
}

TEST(YamlEntries, ReadsFlowMappings) {
  EXPECT_EQ(Read("o: {_target_: os.system, lr: 0.1, n: {m: [1, 2]}}\nb: 1"),
            "_target_=os.system;lr=0.1;m=1;b=1;");
  EXPECT_EQ(Read("{\"a\":\"b\",'c' :d, e :f, ?g: h}"), "a=b;c=d;g=h;");
  EXPECT_EQ(Read("{a: b,#c \"\n d: e}"), "a=b;d=e;");
}

TEST(YamlEntries, ReadsKeysAndValuesInAnySpelling) {
  const std::string entry = "_target_=os.system;";
  for (const char* text :
       {"\"_t\\x61rget_\": \"os\\u002esystem\"", "'_target_': 'os.system'",
        "? _target_\n: os.system", "? |\n  _target_\n: os.system", "_target_: >-\n  os.system\n",
        "_target_: |\n  os.system\n", "!!str _target_: !!str os.system",
        "&k _target_: &v os.system", "_target_ : os.system", "_target_: \"os.\\\n    system\"",
        "\xef\xbb\xbf_target_: os.system", "_target_:\n  os.system", "_target_: os.system\r",
        "_target_:\tos.system"}) {
    EXPECT_EQ(Read(text), entry) << text;
  }
  EXPECT_EQ(Read("a: &x os.system\nb: *x\nc: *y\n"), "a=os.system;b=os.system;c=?;");
  EXPECT_EQ(Read("- &k _target_\n- *k: os.system\n"), "_target_=os.system;");
}

// What a reader takes for a part of a scalar must not hide what follows it, nor the other way
// round.
TEST(YamlEntries, IsNotLedAstrayByQuotesAndBreaks) {
  EXPECT_EQ(Read("a: b\n  \"c\n_target_: x.y\n"), "a=b \"c;_target_=x.y;");
  EXPECT_EQ(Read("a: b\n\t\"c\n_target_: x.y\n"), "a=b \"c;_target_=x.y;");
  EXPECT_EQ(Read("{a: b\n\"c, _target_: x.y}"), "a=b \"c;_target_=x.y;");
  EXPECT_EQ(Read("a: b\r_target_: x.y"), "a=b;_target_=x.y;");
  EXPECT_EQ(Read("a: b\xc2\x85_target_: x.y"), "a=b;_target_=x.y;");
  EXPECT_EQ(Read("a: b # \xe2\x80\xa8_target_: x.y"), "a=b;_target_=x.y;");
  EXPECT_EQ(Read("a:\n  b: c\n- |\n    text\n  \n_target_: x.y\n"), "b=c;_target_=x.y;");
  EXPECT_EQ(Read("a: |\n_target_: x.y\n"), "a=;_target_=x.y;");
  EXPECT_EQ(Read("a: |\n  _target_: x.y\nb: 1"), "a=_target_: x.y;b=1;");
}

TEST(YamlEntries, SaysWhereAKeyStands) {
  YamlEntries entries("a: 1\n- b: 2\n");
  const auto first = entries.Next();
  const auto second = entries.Next();
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(first->column, 0U);
  EXPECT_EQ(second->column, 2U);
  EXPECT_EQ(second->offset, 7U);
}

TEST(YamlEntries, NoticesTagsOfPython) {
  for (const auto& [text, names] :
       {std::pair("a: !!python/object/apply:os.system [id]", true), std::pair("a: !!str x", false),
        std::pair("a: !<tag:yaml.org,2002:python/name:os.system> x", true)}) {
    YamlEntries entries(text);
    while (entries.Next().has_value()) {
    }
    EXPECT_EQ(entries.names_python_tag(), names) << text;
  }
}

TEST(YamlEntries, EndsOnWhateverIsNoYaml) {
  for (const char* text : {"", ":", "\"", "'", "\"\\", "\"\\x", "{", "}", "[[[", "a: |", "a: \"",
                           "&", "*", "!", "- - -", "? ? ?", "a: b: c: d", "\n\n\n", "a: |\n\n\n"}) {
    Read(text);
  }
  const std::string long_one(100'000, 'x');
  EXPECT_LT(Read("a: " + long_one).size(), 2'000U);
}

}  // namespace
}  // namespace weighmaster::agent::formats
