#include "third_party/posix/file_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace weighmaster::posix {
namespace {

TEST(RaiseFileLimit, TakesAllThatTheSystemAllows) {
  struct rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max / 2;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(RaiseFileLimit(), limit.rlim_max);
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

}  // namespace
}  // namespace weighmaster::posix
