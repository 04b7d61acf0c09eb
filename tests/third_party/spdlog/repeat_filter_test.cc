#include "third_party/spdlog/repeat_filter.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"

namespace weighmaster::logging {
namespace {

namespace limits = base::limits;

const RepeatFilter::Time kStart{std::chrono::hours(1)};

TEST(RepeatFilter, LetsALineThroughAFewTimesInAWindow) {
  RepeatFilter filter;
  for (std::size_t i = 0; i < limits::kMaxLogRepeats; ++i) {
    EXPECT_TRUE(filter.Admit("a", kStart).write);
  }
  EXPECT_FALSE(filter.Admit("a", kStart + limits::kLogRepeatWindow / 2).write);
  EXPECT_TRUE(filter.Admit("b", kStart).write);
}

TEST(RepeatFilter, SaysInTheNextWindowHowManyWereLeftOut) {
  RepeatFilter filter;
  for (std::size_t i = 0; i < limits::kMaxLogRepeats + 7; ++i) filter.Admit("a", kStart);
  const RepeatFilter::Decision next = filter.Admit("a", kStart + limits::kLogRepeatWindow);
  EXPECT_TRUE(next.write);
  EXPECT_EQ(next.left_out, 7U);
  EXPECT_EQ(filter.Admit("a", kStart + limits::kLogRepeatWindow).left_out, 0U);
}

TEST(RepeatFilter, ForgetsTheOldestLineWhenItIsFullAndSaysWhatWasLeftOutOfIt) {
  RepeatFilter filter;
  for (std::size_t i = 0; i < limits::kMaxLogRepeats + 3; ++i) filter.Admit("oldest", kStart);
  for (std::size_t i = 1; i < limits::kMaxLogLinesRemembered; ++i) {
    const auto later = kStart + std::chrono::milliseconds(i);
    EXPECT_FALSE(filter.Admit("line " + std::to_string(i), later).forgotten.has_value());
  }
  const auto last = kStart + std::chrono::seconds(1);
  const RepeatFilter::Decision decision = filter.Admit("one more", last);
  ASSERT_TRUE(decision.forgotten.has_value());
  EXPECT_EQ(decision.forgotten->line, "oldest");
  EXPECT_EQ(decision.forgotten->count, 3U);
  // The next one makes room silently, because nothing was left out of the line that goes.
  EXPECT_FALSE(filter.Admit("and another", last).forgotten.has_value());
  EXPECT_TRUE(filter.Admit("oldest", last).write);
}

}  // namespace
}  // namespace weighmaster::logging
