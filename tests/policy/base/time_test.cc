#include "policy/base/time.h"

#include <gtest/gtest.h>

namespace weighmaster::base {
namespace {

TEST(WallTime, IsWrittenAsRfc3339WithMicroseconds) {
  EXPECT_EQ(FormatWallTime(WallTimeFromMicroseconds(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(FormatWallTime(WallTimeFromMicroseconds(1'709'209'845'000'007)),
            "2024-02-29T12:30:45.000007Z");
}

TEST(WallTime, BeforeTheEpochCountsFromTheDayBefore) {
  EXPECT_EQ(FormatWallTime(WallTimeFromMicroseconds(-1)), "1969-12-31T23:59:59.999999Z");
}

TEST(WallTime, MicrosecondsComeBack) {
  EXPECT_EQ(ToMicroseconds(WallTimeFromMicroseconds(1'700'000'000'123'456)), 1'700'000'000'123'456);
}

}  // namespace
}  // namespace weighmaster::base
