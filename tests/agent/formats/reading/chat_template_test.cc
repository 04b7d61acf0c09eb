#include "agent/formats/reading/chat_template.h"

#include <gtest/gtest.h>

namespace weighmaster::agent::formats {
namespace {

bool Reaches(std::string_view text) {
  ChatTemplateScan whole;
  whole.Feed(text);
  // In pieces of one byte it has to come to the same.
  ChatTemplateScan pieces;
  for (const char& c : text) pieces.Feed({&c, 1});
  EXPECT_EQ(whole.reaches_python(), pieces.reaches_python());
  return whole.reaches_python();
}

TEST(ChatTemplateScan, LeavesOrdinaryTemplatesAlone) {
  EXPECT_FALSE(Reaches("{% for m in messages %}<|{{ m['role'] }}|>\n{{ m.content }}{% endfor %}"));
  EXPECT_FALSE(Reaches("__init__ in plain text {{ bos_token }} and after __"));
  EXPECT_FALSE(Reaches("{# __class__ in a comment #}{{ x }}"));
  EXPECT_FALSE(Reaches("{{ a_b_c }}"));
}

TEST(ChatTemplateScan, FindsDoubleUnderscoresInBlocks) {
  EXPECT_TRUE(Reaches("{{ ''.__class__ }}"));
  EXPECT_TRUE(Reaches("{%- set x = cycler.__init__.__globals__ -%}"));
  EXPECT_TRUE(Reaches("{{ x|attr('__class__') }}"));
}

TEST(ChatTemplateScan, FindsEscapedUnderscores) {
  EXPECT_TRUE(Reaches(R"({{ x['\x5f\x5fclass'] }})"));
  EXPECT_TRUE(Reaches(R"({{ x['\x5F_class'] }})"));
  EXPECT_TRUE(Reaches(R"({{ x['\u005fclass'] }})"));
  EXPECT_TRUE(Reaches(R"({{ x['\137'] }})"));
}

TEST(ChatTemplateScan, IsNotFooledByAClosingMarkInAQuotedText) {
  EXPECT_TRUE(Reaches("{{ '}}'.__class__ }}"));
  EXPECT_TRUE(Reaches("{{ \"a\\\"}}\".__class__ }}"));
}

}  // namespace
}  // namespace weighmaster::agent::formats
