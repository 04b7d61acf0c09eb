#include "proto/wire/stream/backoff.h"

#include <gtest/gtest.h>

namespace weighmaster::wire {
namespace {

TEST(Backoff, StaysBelowABoundThatDoublesToTheLast) {
  base::SeededRandom random(7);
  Backoff backoff(random);
  base::Duration bound = base::limits::kFirstRetryDelay;
  for (int i = 0; i < 40; ++i) {
    const base::Duration delay = backoff.Next();
    EXPECT_GE(delay, base::Duration(0));
    EXPECT_LE(delay, bound);
    bound = std::min(bound * 2, base::Duration(base::limits::kLastRetryDelay));
  }
  EXPECT_EQ(bound, base::limits::kLastRetryDelay);
}

TEST(Backoff, SpreadsOverItsWholeRange) {
  base::SeededRandom random(7);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 200; ++i) {
    Backoff backoff(random);
    const base::Duration delay = backoff.Next();
    low = low || delay < base::limits::kFirstRetryDelay / 4;
    high = high || delay > base::Duration(base::limits::kFirstRetryDelay) * 3 / 4;
  }
  EXPECT_TRUE(low);
  EXPECT_TRUE(high);
}

TEST(Backoff, BeginsAnewAfterASuccess) {
  base::SeededRandom random(7);
  Backoff backoff(random);
  for (int i = 0; i < 20; ++i) static_cast<void>(backoff.Next());
  backoff.Reset();
  EXPECT_LE(backoff.Next(), base::limits::kFirstRetryDelay);
}

}  // namespace
}  // namespace weighmaster::wire
