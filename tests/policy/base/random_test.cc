#include "policy/base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace weighmaster::base {
namespace {

TEST(SeededRandom, RepeatsItselfBySeed) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom c(8);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_NE(a.Next(), c.Next());
}

TEST(SeededRandom, GivesThePublishedNumbersOfSplitMix64) {
  SeededRandom random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317U);
  EXPECT_EQ(random.Next(), 3203168211198807973U);
}

TEST(Random, BelowStaysBelowAndReachesEverything) {
  SeededRandom random(3);
  std::array<int, 7> seen{};
  for (int i = 0; i < 7'000; ++i) ++seen[random.Below(seen.size())];
  for (const int count : seen) EXPECT_GT(count, 800);
  EXPECT_EQ(random.Below(1), 0U);
}

TEST(Random, FillsLengthsThatAreNoMultipleOfAWord) {
  SeededRandom random(4);
  std::vector<std::uint8_t> bytes(21, 0);
  random.Fill(bytes);
  EXPECT_NE(std::vector<std::uint8_t>(bytes.begin() + 16, bytes.end()),
            std::vector<std::uint8_t>(5, 0));
}

}  // namespace
}  // namespace weighmaster::base
