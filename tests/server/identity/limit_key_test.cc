#include "server/identity/limit_key.h"

#include <gtest/gtest.h>

namespace weighmaster::server::identity {
namespace {

TEST(LimitKey, TakesAllAddressesOfAnIpv6NetworkForOne) {
  EXPECT_EQ(LimitKey("2001:db8::1"), LimitKey("2001:db8::ffff:1"));
  EXPECT_NE(LimitKey("2001:db8::1"), LimitKey("2001:db8:0:1::1"));
  EXPECT_NE(LimitKey("192.0.2.1"), LimitKey("192.0.2.2"));
}

}  // namespace
}  // namespace weighmaster::server::identity
