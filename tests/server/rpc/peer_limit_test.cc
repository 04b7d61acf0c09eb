#include "server/rpc/peer_limit.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/limits.h"
#include "tests/support/sim_loop.h"

namespace weighmaster::server::rpc {
namespace {

namespace limits = base::limits;

TEST(PeerAddress, LeavesTheAddressWithoutSchemeBracketsAndPort) {
  EXPECT_EQ(PeerAddress("ipv4:192.0.2.1:443"), "192.0.2.1");
  EXPECT_EQ(PeerAddress("ipv6:[2001:db8::1]:443"), "2001:db8::1");
  EXPECT_EQ(PeerAddress("ipv6:%5B2001:db8::1%5D:443"), "2001:db8::1");
  EXPECT_EQ(PeerAddress("unix:/run/x"), "unix:/run/x");
}

int TakeAll(PeerLimit& limit, const std::string& address) {
  int taken = 0;
  while (taken < 10'000 && limit.Take(address)) ++taken;
  return taken;
}

TEST(PeerLimit, AllowsABurstAndThenOneAnInterval) {
  tests::SimLoop loop;
  PeerLimit limit(loop);
  EXPECT_EQ(TakeAll(limit, "192.0.2.1"), limits::kEnrolmentBurst);
  EXPECT_TRUE(limit.Take("192.0.2.2")) << "another address has its own";
  loop.RunFor(limits::kEnrolmentInterval);
  EXPECT_EQ(TakeAll(limit, "192.0.2.1"), 1);
  loop.RunFor(limits::kEnrolmentInterval * 10 * limits::kEnrolmentBurst);
  EXPECT_EQ(TakeAll(limit, "192.0.2.1"), limits::kEnrolmentBurst) << "no more than the burst";
}

TEST(PeerLimit, IsNotChargedForWhatItRefuses) {
  tests::SimLoop loop;
  PeerLimit limit(loop);
  TakeAll(limit, "192.0.2.1");
  for (int i = 0; i < 1'000; ++i) EXPECT_FALSE(limit.Take("192.0.2.1"));
  loop.RunFor(limits::kEnrolmentInterval);
  EXPECT_TRUE(limit.Take("192.0.2.1"));
}

TEST(PeerLimit, ForgetsThoseWhoAreDoneBeforeThoseWhoAreNot) {
  tests::SimLoop loop;
  PeerLimit limit(loop);
  for (std::size_t i = 0; i + 1 < limits::kMaxLimitedPeers; ++i)
    limit.Take("peer " + std::to_string(i));
  loop.RunFor(limits::kEnrolmentInterval);
  TakeAll(limit, "greedy");
  limit.Take("newcomer");
  EXPECT_FALSE(limit.Take("greedy"));
}

}  // namespace
}  // namespace weighmaster::server::rpc
