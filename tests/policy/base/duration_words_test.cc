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

}  // namespace
}  // namespace weighmaster::base
