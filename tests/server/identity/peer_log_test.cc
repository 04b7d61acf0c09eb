#include "server/identity/peer_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/log_file.h"
#include "tests/support/sim_loop.h"

namespace weighmaster::server::identity {
namespace {

namespace limits = base::limits;

class PeerLogTest : public ::testing::Test {
 protected:
  std::ptrdiff_t Lines() const { return std::ranges::count(log_.Text(), '\n'); }

  tests::LogFile log_;
  tests::SimLoop loop_;
  PeerLog peers_{loop_, "rest"};
};

TEST_F(PeerLogTest, TellsWhoWasTurnedAwayAndWhy) {
  peers_.Refused("192.0.2.1", base::Unauthenticated("an administrator's token is needed"));
  EXPECT_TRUE(log_.Has("warning rest: 192.0.2.1 was refused: an administrator's token is needed\n"))
      << log_.Text();
}

TEST_F(PeerLogTest, DoesNotTellOfWhatIsNotThePeersFault) {
  peers_.Refused("192.0.2.1", base::Unavailable("the disk is full"));
  EXPECT_EQ(log_.Text(), "");
}

TEST_F(PeerLogTest, IsNotFilledByManyAddressesAndSaysHowMuchItLeftOut) {
  for (int i = 0; i < limits::kPeerLogBurst + 1'000; ++i) {
    peers_.Tell("2001:db8::" + std::to_string(i), "was cut off: it was too slow");
  }
  EXPECT_EQ(Lines(), limits::kPeerLogBurst);
  loop_.RunFor(limits::kPeerLogInterval);
  peers_.Tell("192.0.2.1", "was cut off: it was too slow");
  peers_.Tell("192.0.2.2", "was cut off: it was too slow");
  EXPECT_EQ(Lines(), limits::kPeerLogBurst + 1);
  EXPECT_TRUE(
      log_.Has("192.0.2.1 was cut off: it was too slow (1000 such lines before this one "
               "were left out)\n"))
      << log_.Text();
}

}  // namespace
}  // namespace weighmaster::server::identity
