#include "server/rollout/lists_deltas.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/base/limits.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/lists/lists_delta.h"
#include "tests/server/server_world.h"

namespace weighmaster::server::rollout {
namespace {

constexpr int kDigests = 200;

class ListsDeltasTest : public ::testing::Test {
 protected:
  // Publishes it and returns its digest.
  model::Sha256 Store(const std::string& part, wire::PartKind kind = wire::PartKind::kLists) {
    EXPECT_TRUE(world_.Publish(world_.Policy(++version_, 0, part, kind)).has_value());
    return openssl::Sha256Of(base::AsBytes(part));
  }
  // Lists that share all but one digest with each other.
  static std::string Lists(int n) {
    model::DigestLists lists;
    for (int i = 0; i < kDigests; ++i) lists.denied.push_back(tests::TestDigest(i));
    lists.denied.push_back(tests::TestDigest(10'000 + n));
    return std::string(base::AsText(model::EncodeDigestLists(lists)));
  }

  tests::ServerWorld world_;
  std::uint64_t version_ = 0;
  ListsDeltas deltas_{*world_.queries_};
};

TEST_F(ListsDeltasTest, LeadsFromOneStoredPartToTheOther) {
  const model::Sha256 from = Store(Lists(1));
  const model::Sha256 to = Store(Lists(2));
  const auto delta = deltas_.Find(from, to);
  ASSERT_NE(delta, nullptr);
  const std::string before = Lists(1);
  const auto made =
      model::ApplyListsDelta(base::AsBytes(before), base::AsBytes(*delta), Lists(2).size());
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(base::AsText(*made), Lists(2));
}

TEST_F(ListsDeltasTest, IsMadeOnceForAllWhoAskAndAgainOnceItIsForgotten) {
  const model::Sha256 to = Store(Lists(0));
  std::vector<model::Sha256> others;
  for (std::size_t n = 0; n <= base::limits::kMaxListsDeltasKept; ++n) {
    others.push_back(Store(Lists(static_cast<int>(n) + 1)));
  }
  const auto first = deltas_.Find(others[0], to);
  const auto second = deltas_.Find(others[1], to);
  EXPECT_EQ(deltas_.Find(others[0], to), first);
  for (std::size_t n = 2; n < others.size(); ++n) deltas_.Find(others[n], to);
  EXPECT_EQ(deltas_.Find(others[0], to), first) << "asked for after the second";
  EXPECT_NE(deltas_.Find(others[1], to), second);
}

TEST_F(ListsDeltasTest, ThereIsNoneThatIsNoShorterThanThePart) {
  const model::Sha256 from = Store(Lists(1));
  const model::Sha256 to =
      Store(std::string(base::AsText(model::EncodeDigestLists({{tests::TestDigest(1)}, {}, {}}))));
  EXPECT_EQ(deltas_.Find(from, to), nullptr);
  EXPECT_EQ(deltas_.Find(from, to), nullptr) << "which is remembered";
}

TEST_F(ListsDeltasTest, ThereIsNoneFromOrToWhatIsNoStoredLists) {
  const model::Sha256 lists = Store(Lists(1));
  const model::Sha256 other = Store("no lists", wire::PartKind::kContent);
  EXPECT_EQ(deltas_.Find(other, lists), nullptr);
  EXPECT_EQ(deltas_.Find(lists, other), nullptr);
  EXPECT_EQ(deltas_.Find(tests::TestDigest(77), lists), nullptr);
}

}  // namespace
}  // namespace weighmaster::server::rollout
