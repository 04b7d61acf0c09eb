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

TEST(WallTime, IsReadWithFractionAndOffset) {
  const WallTime noon = WallTimeFromMicroseconds(1'772'366'400'000'000);
  for (const char* text :
       {"2026-03-01T12:00:00Z", "2026-03-01t12:00:00.000z", "2026-03-01 14:30:00+02:30",
        "2026-02-28T23:00:00-13:00", "2026-03-01T11:59:60Z", "2026-03-01T12:00:00.0000009Z"}) {
    EXPECT_EQ(ParseWallTime(text).value(), noon) << text;
  }
  EXPECT_EQ(ParseWallTime("2026-03-01T12:00:00.25Z").value() - noon, Duration(250'000));
  const WallTime odd = WallTimeFromMicroseconds(-62'135'596'800'000'001 + 86'400'000'000);
  EXPECT_EQ(ParseWallTime(FormatWallTime(odd)).value(), odd);
}

TEST(WallTime, ThatIsNotOneIsRefused) {
  for (const char* text :
       {"", "2026-03-01", "2026-03-01T12:00:00", "2026-02-30T12:00:00Z", "2026-13-01T12:00:00Z",
        "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z", "2026-03-01T12:00:61Z",
        "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00Zz", "2026-03-01T12:00:00+2:00",
        "2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00+00:60", "26-03-01T12:00:00Z",
        "+026-03-01T12:00:00Z", "2026-3-01T12:00:00Z", "2026-03-01T12:00:00 Z"}) {
    EXPECT_FALSE(ParseWallTime(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace weighmaster::base
