#include "server/store/labels.h"

#include <gtest/gtest.h>

#include "policy/base/limits.h"

namespace weighmaster::server::store {
namespace {

base::Result<Labels> Parse(const std::vector<std::string>& words) {
  const std::vector<std::string_view> views(words.begin(), words.end());
  return ParseLabels(views);
}

TEST(Labels, AreReadAndWrittenByTheirKeys) {
  const auto labels = Parse({"team=ml", "site=Berlin-2", "a.b_c-9=1"});
  ASSERT_TRUE(labels.has_value()) << labels.error().ToString();
  EXPECT_EQ(LabelWords(*labels),
            (std::vector<std::string>{"a.b_c-9=1", "site=Berlin-2", "team=ml"}));
  EXPECT_TRUE(Parse({})->empty());
}

TEST(Labels, AreAKeyAndAValueOfFewSignsAndNoMore) {
  const std::string longest(base::limits::kMaxLabelKeyBytes, 'k');
  EXPECT_TRUE(Parse({longest + "=" + longest}).has_value());
  for (const std::string& wrong :
       {std::string(), std::string("site"), std::string("site="), std::string("=berlin"),
        std::string("Site=berlin"), std::string("1=berlin"), std::string("-a=b"),
        std::string("a=b c"), std::string("a=b,c"), std::string("a=b=c"), std::string("a=%"),
        std::string("a='"), std::string("ä=b"), std::string("a=ä"), longest + "k=v",
        "k=" + longest + "k", std::string("a=\0", 3)}) {
    EXPECT_EQ(Parse({wrong}).error().code(), base::ErrorCode::kInvalidArgument) << wrong;
  }
  EXPECT_EQ(Parse({"a=b", "a=c"}).error().message(), "the label a comes twice");
}

TEST(Labels, AreNoMoreThanTheLimit) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < base::limits::kMaxLabels; ++i) {
    words.push_back("k" + std::to_string(i) + "=v");
  }
  EXPECT_TRUE(Parse(words).has_value());
  words.push_back("one-more=v");
  EXPECT_EQ(Parse(words).error().code(), base::ErrorCode::kInvalidArgument);
}

TEST(Scope, IsReadFromLabelsWithCommasBetweenThem) {
  EXPECT_EQ(Scope::Parse("team=ml,site=berlin")->ToText(), "site=berlin,team=ml");
  EXPECT_TRUE(Scope::Parse("")->is_whole_fleet());
  EXPECT_FALSE(Scope::Parse("a=b")->is_whole_fleet());
  for (const std::string_view wrong :
       {",", "a=b,", ",a=b", "a=b,,c=d", "a=b, c=d", "a=b,a=c", "a=b,a=b", "a"}) {
    EXPECT_EQ(Scope::Parse(wrong).error().code(), base::ErrorCode::kInvalidArgument) << wrong;
  }
}

TEST(Scope, AsksForNoMoreLabelsThanTheLimit) {
  std::string text = "k0=v";
  for (std::size_t i = 1; i < base::limits::kMaxScopeLabels; ++i) {
    text += ",k" + std::to_string(i) + "=v";
  }
  EXPECT_TRUE(Scope::Parse(text).has_value());
  EXPECT_EQ(Scope::Parse(text + ",more=v").error().code(), base::ErrorCode::kInvalidArgument);
}

TEST(Scope, HasWhatHasAllOfItsLabels) {
  const Scope scope = Scope::Parse("site=berlin,team=ml").value();
  EXPECT_TRUE(scope.Has({{"site", "berlin"}, {"team", "ml"}}));
  EXPECT_TRUE(scope.Has({{"site", "berlin"}, {"team", "ml"}, {"os", "linux"}}));
  EXPECT_FALSE(scope.Has({{"site", "berlin"}}));
  EXPECT_FALSE(scope.Has({{"site", "berlin-2"}, {"team", "ml"}}));
  EXPECT_FALSE(scope.Has({}));
  EXPECT_TRUE(Scope::WholeFleet().Has({}));
}

}  // namespace
}  // namespace weighmaster::server::store
