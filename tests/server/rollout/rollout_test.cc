#include "server/rollout/rollout.h"

#include <gtest/gtest.h>

#include "tests/server/server_world.h"

namespace weighmaster::server::rollout {
namespace {

using tests::ServerWorld;

// Signs the publication's manifest again after `change`.
template <typename Change>
Publication Changed(Publication publication, Change change) {
  auto manifest = wire::ParseManifest(publication.document.bytes);
  EXPECT_TRUE(manifest.has_value());
  change(*manifest);
  publication.document = tests::SignBundle(*manifest);
  return publication;
}

TEST(Rollout, PublishesAndTellsItsListenerOnce) {
  ServerWorld world;
  int told = 0;
  world.rollout_.Subscribe([&] { ++told; });
  ASSERT_TRUE(world.Publish(world.Policy(3)).has_value());
  ASSERT_NE(world.rollout_.current(), nullptr);
  EXPECT_EQ(world.rollout_.current()->manifest.version, 3U);
  EXPECT_TRUE(world.Publish(world.Policy(3)).has_value()) << "again is fine";
  EXPECT_EQ(told, 1);
}

TEST(Rollout, ComesBackWithWhatTheStoreHolds) {
  ServerWorld world;
  ASSERT_TRUE(world.Publish(world.Policy(3)).has_value());
  Rollout restarted(world.loop_, world.loop_, world.executor_, world.executor_, *world.store_);
  ASSERT_TRUE(restarted.Load(*world.queries_).has_value());
  ASSERT_NE(restarted.current(), nullptr);
  EXPECT_EQ(restarted.current()->manifest_sha256, world.rollout_.current()->manifest_sha256);
}

TEST(Rollout, RefusesWhatEndpointsWouldRefuseAndKeepsTheLastGoodPolicy) {
  ServerWorld world;
  ASSERT_TRUE(world.Publish(world.Policy(3, 2)).has_value());
  Publication unsigned_one = world.Policy(4, 2);
  unsigned_one.document.signatures.clear();
  Publication tampered = world.Policy(4, 2);
  tampered.document.bytes.back() ^= 1;
  const std::pair<const char*, Publication> bad[] = {
      {"unsigned", unsigned_one},
      {"tampered", tampered},
      {"older", world.Policy(2, 2)},
      {"lower floor", world.Policy(4, 1)},
      {"floor above version", world.Policy(4, 5)},
      {"another fleet",
       Changed(world.Policy(4, 2), [](auto& m) { m.fleet_id = std::string(32, 'f'); })},
      {"another line", Changed(world.Policy(4, 2), [](auto& m) { m.line = "laptops"; })},
      {"expired", Changed(world.Policy(4, 2), [&](auto& m) { m.expires = world.loop_.Now(); })},
      {"signed in the future",
       Changed(world.Policy(4, 2),
               [&](auto& m) { m.issued = world.loop_.Now() + std::chrono::hours(1); })},
      {"another document",
       Changed(world.Policy(4, 2), [](auto& m) { m.document = tests::TestDigest(1); })},
  };
  for (const auto& [what, publication] : bad) {
    const base::Status status = world.Publish(publication);
    ASSERT_FALSE(status.has_value()) << what;
    EXPECT_FALSE(status.error().message().empty());
    EXPECT_EQ(world.rollout_.current()->manifest.version, 3U) << what;
    EXPECT_EQ(world.queries_->FindBundle(store::Scope::WholeFleet(), 0)->version, 3U) << what;
  }
}

TEST(Rollout, RefusesPartsThatAreMissingForeignWrongOrUnreadable) {
  ServerWorld world;
  Publication missing = world.Policy(1);
  missing.parts.clear();
  EXPECT_FALSE(world.Publish(missing).has_value());
  Publication wrong = world.Policy(1);
  wrong.parts[0].content += "x";
  EXPECT_FALSE(world.Publish(wrong).has_value());
  Publication foreign = world.Policy(1);
  foreign.parts.push_back({tests::PartOf(wire::PartKind::kContent, "other", {}), "other"});
  EXPECT_FALSE(world.Publish(foreign).has_value());
  const std::string junk = "these are no lists";
  Publication unreadable = world.Policy(1, 0, junk);
  unreadable = Changed(
      unreadable, [&](auto& m) { m.parts = {tests::PartOf(wire::PartKind::kLists, junk, {})}; });
  EXPECT_FALSE(world.Publish(unreadable).has_value());
  EXPECT_EQ(world.rollout_.current(), nullptr);
  EXPECT_TRUE(world.Publish(world.Policy(1)).has_value());
}

}  // namespace
}  // namespace weighmaster::server::rollout
