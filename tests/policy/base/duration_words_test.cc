#include "policy/base/duration_words.h"

#include <gtest/gtest.h>

namespace weighmaster::base {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(DurationWords, AreAsFineAsAWrongClockNeeds) {
  EXPECT_EQ(InWords(seconds(301)), "6 minutes");
  EXPECT_EQ(InWords(minutes(119)), "119 minutes");
  EXPECT_EQ(InWords(hours(2)), "2 hours");
  EXPECT_EQ(InWords(hours(47)), "47 hours");
  EXPECT_EQ(InWords(hours(71)), "2 days");
  EXPECT_EQ(InWords(hours(24 * 365)), "365 days");
}

TEST(DurationWords, DoNotTellTheSign) { EXPECT_EQ(InWords(-hours(5)), InWords(hours(5))); }

TEST(DurationWords, AreReadWithTheirUnit) {
  EXPECT_EQ(ParseDuration("90s").value(), seconds(90));
  EXPECT_EQ(ParseDuration("36500d").value(), hours(24 * 36'500));
  for (const char* const text :
       {"", "d", "7", "7w", "-7d", "- 7d", "7 d", "1.5h", "7dd", "-99999999999999999999d"}) {
    EXPECT_EQ(ParseDuration(text).error().code(), ErrorCode::kInvalidArgument) << text;
  }
}

TEST(DurationWords, SayThatADurationIsTooLong) {
  for (const char* const text : {"36501d", "99999d", "99999999999999999999s"}) {
    EXPECT_EQ(ParseDuration(text).error().message(),
              "\"" + std::string(text) + "\" is too long; at most 36500d");
  }
}

}  // namespace
}  // namespace weighmaster::base
