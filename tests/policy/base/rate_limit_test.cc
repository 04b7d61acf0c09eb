#include "policy/base/rate_limit.h"

#include <gtest/gtest.h>

#include <string>

namespace weighmaster::base {
namespace {

constexpr Duration kInterval = std::chrono::milliseconds(10);

TEST(RateLimit, LetsABurstThroughThenOneAnInterval) {
  RateLimit limit(kInterval, 3, 10);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.Take("a", Duration(0)), Duration(0));
  EXPECT_EQ(limit.Take("a", Duration(0)), kInterval);
  EXPECT_EQ(limit.Take("a", kInterval / 2), kInterval / 2) << "what was refused costs nothing";
  EXPECT_EQ(limit.Take("a", kInterval), Duration(0));
  EXPECT_GT(limit.Take("a", kInterval), Duration(0));
}

TEST(RateLimit, CountsEachByItself) {
  RateLimit limit(kInterval, 1, 10);
  EXPECT_EQ(limit.Take("a", Duration(0)), Duration(0));
  EXPECT_EQ(limit.Take("b", Duration(0)), Duration(0));
  EXPECT_GT(limit.Take("a", Duration(0)), Duration(0));
}

TEST(RateLimit, ForgetsThoseWhoseBurstIsWholeAgainFirst) {
  RateLimit limit(kInterval, 1, 2);
  EXPECT_EQ(limit.Take("old", Duration(0)), Duration(0));
  EXPECT_EQ(limit.Take("new", kInterval), Duration(0));
  EXPECT_EQ(limit.Take("more", kInterval), Duration(0));
  EXPECT_GT(limit.Take("new", kInterval), Duration(0)) << "it is remembered";
}

}  // namespace
}  // namespace weighmaster::base
