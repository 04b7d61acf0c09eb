#include "server/ingest/ingest.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "policy/base/limits.h"
#include "server/findings/rules.h"
#include "tests/server/server_world.h"
#include "weighmaster/v1/event.pb.h"

namespace weighmaster::server::ingest {
namespace {

using Kind = Outcome::Kind;
using tests::FailingStore;

class IngestTest : public ::testing::Test {
 protected:
  Sender From(std::uint8_t n) {
    return {tests::TestId(n), tests::TestKey(10 + n).public_key(), {}};
  }

  bool Submit(std::uint8_t n, wire::SealedBatch batch) {
    return world_.ingest_.Submit(From(n), std::move(batch),
                                 [this](const Outcome& outcome) { outcomes_.push_back(outcome); });
  }
  Outcome Take(std::uint8_t n, wire::SealedBatch batch) {
    outcomes_.clear();
    EXPECT_TRUE(Submit(n, std::move(batch)));
    EXPECT_TRUE(outcomes_.empty()) << "told before the commit";
    world_.loop_.RunReady();
    EXPECT_EQ(outcomes_.size(), 1U);
    return outcomes_.empty() ? Outcome() : outcomes_[0];
  }
  std::uint64_t StoredBatches(std::uint8_t n, const model::Id& chain) {
    return world_.queries_->FindChain(tests::TestId(n), chain)->number;
  }

  tests::ServerWorld world_;
  std::vector<Outcome> outcomes_;
  const model::Id chain_ = tests::TestId(0xc1);
  const model::Id endpoint_ = world_.Enrol(1);
  tests::EndpointScript script_{tests::TestKey(11), chain_};
};

TEST_F(IngestTest, TellsAnOutcomeOnlyAfterTheCommit) {
  EXPECT_EQ(Take(1, script_.Start()).result.kind, Kind::kStored);
  EXPECT_EQ(StoredBatches(1, chain_), 1U);
}

TEST_F(IngestTest, RefusesATamperedBatchWithAFindingAndStoresNothing) {
  Take(1, script_.Start());
  const auto good = script_.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}});
  auto body = good;
  body.events[0].body.back() ^= 1;
  auto header = good;
  header.header.back() ^= 1;
  auto signature = good;
  signature.signature[10] ^= 1;
  for (const auto& tampered : {body, header, signature}) {
    const Outcome outcome = Take(1, tampered);
    EXPECT_EQ(outcome.result.kind, Kind::kRefused);
    EXPECT_FALSE(outcome.result.detail.empty());
  }
  EXPECT_TRUE(world_.HasFinding(findings::kBadBatch));
  EXPECT_EQ(StoredBatches(1, chain_), 1U);
  EXPECT_EQ(Take(1, good).result.kind, Kind::kStored);
}

TEST_F(IngestTest, RefusesABatchOfAnotherKey) {
  tests::EndpointScript other(tests::TestKey(40), tests::TestId(0xc9));
  EXPECT_EQ(Take(1, other.Start()).result.kind, Kind::kRefused);
  EXPECT_TRUE(world_.HasFinding(findings::kBadBatch));
}

TEST_F(IngestTest, StoresARepeatOnceAndSaysSoAgain) {
  const auto start = script_.Start();
  Take(1, start);
  const Outcome again = Take(1, start);
  EXPECT_EQ(again.result.kind, Kind::kRepeated);
  EXPECT_EQ(again.result.head.number, 1U);
  EXPECT_TRUE(world_.Findings().empty());
}

TEST_F(IngestTest, FindsEquivocationAndAsksForAMissingNumberWithoutAFinding) {
  Take(1, script_.Start());
  const auto place = script_.position();
  Take(1, script_.Seal({model::AgentStarted{"1", "linux", "12", "a"}}));
  script_.position() = place;
  EXPECT_EQ(Take(1, script_.Seal({model::AgentStarted{"2", "linux", "12", "b"}})).result.kind,
            Kind::kEquivocation);
  EXPECT_TRUE(world_.HasFinding(findings::kEquivocation));
  script_.Seal({model::AgentStarted{"3", "linux", "12", "lost"}});
  const Outcome gap = Take(1, script_.Seal({model::AgentStarted{"4", "linux", "12", "d"}}));
  EXPECT_EQ(gap.result.kind, Kind::kGap);
  EXPECT_EQ(gap.result.expected, 3U);
  EXPECT_FALSE(world_.HasFinding(findings::kGap));
}

TEST_F(IngestTest, QuarantinesWhatIsUnderWayWhenItsKeyIsRevoked) {
  Take(1, script_.Start());
  ASSERT_TRUE(Submit(1, script_.Seal({model::BodiesDropped{}})));
  ASSERT_TRUE(
      world_.store_->Revoke(store::Scope::WholeFleet(), endpoint_, "lost", world_.loop_.Now())
          .has_value());
  outcomes_.clear();
  world_.loop_.RunReady();
  ASSERT_EQ(outcomes_.size(), 1U);
  EXPECT_EQ(outcomes_[0].result.kind, Kind::kQuarantined);
  EXPECT_TRUE(world_.HasFinding(findings::kRevokedKey));
}

TEST_F(IngestTest, ACloneIsAFindingAndItsBatchesAreKeptApart) {
  Take(1, script_.Start());
  tests::EndpointScript clone(tests::TestKey(11), tests::TestId(0xc2), 9);
  EXPECT_EQ(Take(1, clone.Start()).result.kind, Kind::kClone);
  EXPECT_TRUE(world_.HasFinding(findings::kClone));
  EXPECT_EQ(Take(1, script_.Seal({model::BodiesDropped{}})).result.kind, Kind::kQuarantined);
}

TEST_F(IngestTest, StoresABodyThatThisVersionCannotRead) {
  Take(1, script_.Start());
  wire::SealContext context;
  context.boot_id = tests::TestId(1);
  auto strange = wire::Seal(script_.position(), context, {std::string("\xfa\x07\x01x", 4)},
                            tests::TestKey(11), world_.random_);
  ASSERT_TRUE(strange.has_value());
  EXPECT_EQ(Take(1, *strange).result.kind, Kind::kStored);
  EXPECT_EQ(
      world_.queries_->ListEndpoints(store::Scope::WholeFleet(), {})->rows.at(0).events_unreadable,
      1U);
}

TEST_F(IngestTest, StoresAChangeOfKeysThatThisVersionDoesNotFollow) {
  Take(1, script_.Start());
  v1::Event event;
  event.set_wall_time_us(base::ToMicroseconds(world_.loop_.Now()));
  event.set_boot_id(std::string(16, 'b'));
  event.mutable_key_changed()->set_new_spki("a key");
  wire::SealContext context;
  context.boot_id = tests::TestId(1);
  const auto batch = wire::Seal(script_.position(), context, {event.SerializeAsString()},
                                tests::TestKey(11), world_.random_);
  EXPECT_EQ(Take(1, *batch).result.kind, Kind::kStored);
  EXPECT_EQ(
      world_.queries_->ListEndpoints(store::Scope::WholeFleet(), {})->rows.at(0).events_unreadable,
      1U);
  EXPECT_TRUE(world_.Findings().empty());
}

TEST_F(IngestTest, CommitsInGroupsAndInTheOrderOfArrival) {
  std::vector<wire::SealedBatch> batches = {script_.Start()};
  for (int i = 1; i < 200; ++i) batches.push_back(script_.Seal({model::BodiesDropped{}}));
  for (const auto& batch : batches) ASSERT_TRUE(Submit(1, batch));
  world_.loop_.RunReady();
  ASSERT_EQ(outcomes_.size(), batches.size());
  for (std::size_t i = 0; i < outcomes_.size(); ++i) {
    EXPECT_EQ(outcomes_[i].result.kind, Kind::kStored);
    EXPECT_EQ(outcomes_[i].number, i + 1);
  }
  EXPECT_LT(world_.ingest_.counters().groups, 20U);
}

TEST_F(IngestTest, AcknowledgesNothingWhileTheStoreFailsAndGoesOnByItself) {
  for (const auto mode : {FailingStore::Mode::kBeforeCommit, FailingStore::Mode::kAfterCommit}) {
    for (int times = 1; times <= 6; ++times) {
      tests::ServerWorld world;
      world.Enrol(1);
      tests::EndpointScript script(tests::TestKey(11), chain_);
      world.store_->Fail(mode, times);
      std::vector<Kind> kinds;
      std::vector<wire::SealedBatch> batches = {script.Start(),
                                                script.Seal({model::BodiesDropped{}})};
      for (const auto& batch : batches) {
        ASSERT_TRUE(world.ingest_.Submit(
            From(1), batch, [&](const Outcome& outcome) { kinds.push_back(outcome.result.kind); }));
      }
      world.loop_.RunReady();
      EXPECT_TRUE(kinds.empty()) << "told although the commit failed";
      ASSERT_TRUE(world.loop_.RunUntil([&] { return kinds.size() == 2; }, std::chrono::minutes(5)));
      EXPECT_EQ(world.queries_->FindChain(tests::TestId(1), chain_)->number, 2U);
      EXPECT_EQ(
          world.queries_->ListEndpoints(store::Scope::WholeFleet(), {})->rows.at(0).events_stored,
          2U);
      EXPECT_GE(world.ingest_.counters().store_failures, 1U);
    }
  }
}

TEST_F(IngestTest, TurnsAwayOneBatchPastTheQueueAndTakesItLater) {
  const auto start = script_.Start();
  for (std::size_t i = 0; i < base::limits::kMaxIngestQueue; ++i) ASSERT_TRUE(Submit(1, start));
  EXPECT_FALSE(Submit(1, start));
  EXPECT_EQ(world_.ingest_.counters().turned_away, 1U);
  world_.loop_.RunReady();
  EXPECT_TRUE(Submit(1, start));
}

TEST_F(IngestTest, SaysWhenTheStoreFailsAndWhenItIsWellAgain) {
  std::vector<bool> told;
  Ingest ingest(world_.loop_, world_.loop_, world_.random_, world_.executor_, world_.executor_,
                *world_.store_,
                [&](const base::Status& status) { told.push_back(status.has_value()); });
  world_.store_->Fail(FailingStore::Mode::kBeforeCommit, 3);
  ASSERT_TRUE(ingest.Submit(From(1), script_.Start(), [](const Outcome&) {}));
  world_.loop_.RunFor(std::chrono::minutes(2));
  EXPECT_EQ(told, (std::vector<bool>{false, true}));
}

}  // namespace
}  // namespace weighmaster::server::ingest
