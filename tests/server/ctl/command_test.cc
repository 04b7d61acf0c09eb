#include "server/ctl/command.h"

#include <gtest/gtest.h>

namespace weighmaster::server::ctl {
namespace {

const std::vector<Arguments::Option> kOptions = {
    {"uses", "N", "how many"}, {"for", "TIME", "how long"}, {"json", "", "as JSON"}};

TEST(Arguments, TakeValuesFlagsAndPositionalsInAnyOrder) {
  const auto arguments = Arguments::Parse({"--json", "abc", "--uses=3"}, kOptions, {"SHA256"});
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message();
  EXPECT_TRUE(arguments->Has("json"));
  EXPECT_EQ(arguments->Positional(0), "abc");
  EXPECT_EQ(*arguments->Number("uses", 1), 3U);
}

TEST(Arguments, NameWhatIsWrong) {
  const auto message = [](const std::vector<std::string>& words) {
    return Arguments::Parse(words, kOptions, {"SHA256"}).error().message();
  };
  EXPECT_EQ(message({}), "SHA256 is missing");
  EXPECT_EQ(message({"a", "b"}), "\"b\" is one argument too many");
  EXPECT_EQ(message({"a", "--bogus"}), "there is no option --bogus");
  EXPECT_EQ(message({"a", "--uses"}), "--uses needs a value: N");
  EXPECT_EQ(message({"a", "--json=1"}), "--json takes no value");
  EXPECT_EQ(message({"a", "--json", "--json"}), "--json is given twice");
}

TEST(Arguments, AreUtf8) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"\xff\xfe"},
                                                {"a", "--uses", "\xff\xfe"},
                                                {"a", "--uses=\xff\xfe"}}) {
    const auto arguments = Arguments::Parse(words, kOptions, {"SHA256"});
    ASSERT_FALSE(arguments.has_value());
    EXPECT_NE(arguments.error().message().find("\xff\xfe\" is not UTF-8"), std::string::npos);
  }
  EXPECT_TRUE(Arguments::Parse({"gr\u00f6\u00dfer"}, kOptions, {"NAME"}).has_value());
}

TEST(Arguments, TakeALengthOfTimeAfterAFlagThatMayHaveOneAndNothingElse) {
  const std::vector<Arguments::Option> options = {{"watch", "[TIME]", ""}, {"json", "", ""}};
  const auto watch = [&](const std::vector<std::string>& words) {
    return Arguments::Parse(words, options, {"SHA256"});
  };
  EXPECT_EQ(watch({"--watch", "5s", "abc"})->Value("watch"), "5s");
  EXPECT_EQ(watch({"--watch=5s", "abc"})->Value("watch"), "5s");
  EXPECT_TRUE(watch({"--watch", "abc"})->Has("watch"));
  EXPECT_EQ(watch({"--watch", "abc"})->Positional(0), "abc");
  EXPECT_TRUE(watch({"abc", "--watch", "--json"})->Has("json"));
  EXPECT_TRUE(watch({"abc", "--watch"})->Has("watch"));
}

TEST(Arguments, MayLackAPositionalInBrackets) {
  EXPECT_EQ(Arguments::Parse({}, kOptions, {"[FIELD]"})->Positional(0), "");
  EXPECT_EQ(Arguments::Parse({"a"}, kOptions, {"[FIELD]"})->Positional(0), "a");
  EXPECT_FALSE(Arguments::Parse({"a", "b"}, kOptions, {"[FIELD]"}).has_value());
}

TEST(Arguments, MayHaveTheLastPositionalMoreThanOnce) {
  const auto arguments = Arguments::Parse({"a", "b", "c="}, kOptions, {"ENDPOINT", "LABEL..."});
  ASSERT_TRUE(arguments.has_value());
  ASSERT_EQ(arguments->PositionalsFrom(1).size(), 2U);
  EXPECT_EQ(arguments->PositionalsFrom(1)[1], "c=");
  EXPECT_FALSE(Arguments::Parse({"a"}, kOptions, {"ENDPOINT", "LABEL..."}).has_value());
}

TEST(Arguments, ReadDurationsWithTheirUnit) {
  const auto duration = [](const std::string& text) {
    return Arguments::Parse({"--for", text}, kOptions, {})->Duration("for", base::Duration{0});
  };
  EXPECT_EQ(*duration("90s"), std::chrono::seconds(90));
  EXPECT_EQ(*duration("7d"), std::chrono::hours(168));
  for (const char* wrong : {"7", "d", "-1d", "1w", "99999999999999999999d", "5000000d"}) {
    EXPECT_FALSE(duration(wrong).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace weighmaster::server::ctl
