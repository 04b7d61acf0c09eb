#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "policy/base/random.h"
#include "proto/wire/convert.h"
#include "proto/wire/merkle.h"
#include "server/query/lists.h"
#include "server/store/store.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::server::store {

// What every Store must do, whatever it is made of. An implementation instantiates StoreConformance
// with a StorePlace: somewhere to keep a store that can be opened, closed and opened again.
class StorePlace {
 public:
  virtual ~StorePlace() = default;
  virtual std::unique_ptr<Store> Open() = 0;
  // Whether what was committed is there after closing and opening.
  virtual bool lasts() const = 0;
};
using MakePlace = std::function<std::unique_ptr<StorePlace>()>;

class StoreConformance : public ::testing::TestWithParam<MakePlace> {
 protected:
  StoreConformance() : place_(GetParam()()) { Reopen(); }

  // As a server that was killed and started again.
  void Reopen() {
    if (store_ != nullptr && !place_->lasts()) return;
    queries_ = nullptr;
    store_ = nullptr;
    store_ = place_->Open();
    ASSERT_NE(store_, nullptr);
    auto queries = store_->OpenQueries();
    ASSERT_TRUE(queries.has_value()) << queries.error().ToString();
    queries_ = *std::move(queries);
    const tests::TestFleet fleet = tests::MakeTestFleet();
    ASSERT_TRUE(store_->AdoptFleet(fleet.root.fleet_id, tests::TestId(0x11), 1, fleet.signed_root)
                    .has_value());
  }

  static EnrolmentTokenRecord Token(int n, std::uint32_t uses) {
    EnrolmentTokenRecord token;
    token.secret_sha256 = tests::TestDigest(1000 + n);
    token.uses = uses;
    token.created = tests::kTestEpoch;
    token.expires = tests::kTestEpoch + std::chrono::hours(1);
    return token;
  }

  static NewEndpoint Machine(std::uint8_t n) {
    MachineFacts machine;
    machine.hostname = "host" + std::to_string(n);
    machine.os = "linux";
    return {tests::TestId(n), tests::TestKey(10 + n).public_key(), machine};
  }

  model::Id Enrol(std::uint8_t n, const Labels& labels = {}) {
    EnrolmentTokenRecord token = Token(n, 1);
    token.labels = labels;
    EXPECT_TRUE(store_->AddToken(token).has_value());
    auto id = store_->Enrol(token.secret_sha256, tests::kTestEpoch, Machine(n));
    EXPECT_TRUE(id.has_value());
    return *id;
  }

  static BatchWrite Write(const model::Id& endpoint, wire::SealedBatch batch) {
    BatchWrite write;
    write.endpoint = endpoint;
    auto header = wire::ParseHeader(batch.header);
    EXPECT_TRUE(header.has_value());
    write.header = *std::move(header);
    write.digest = wire::HeaderDigest(batch.header);
    for (const wire::BatchEvent& sealed : batch.events) {
      auto event = wire::ParseEvent(sealed.body);
      write.events.push_back(event.has_value() ? std::optional<EventWrite>(*std::move(event))
                                               : std::nullopt);
    }
    write.batch = std::move(batch);
    // After whatever it tells.
    write.received = tests::kTestEpoch + std::chrono::seconds(5);
    for (const auto& event : write.events) {
      if (event) write.received = std::max(write.received, event->event.wall);
    }
    return write;
  }

  static std::vector<FindingChange> NoFindings(const BatchWrite&, const BatchOutcome&, bool) {
    return {};
  }

  std::vector<BatchOutcome> Commit(const std::vector<BatchWrite>& writes,
                                   const FindingRules& rules = NoFindings) {
    auto outcomes = store_->CommitBatches(writes, rules);
    EXPECT_TRUE(outcomes.has_value()) << outcomes.error().ToString();
    if (!outcomes.has_value()) return {};
    EXPECT_EQ(outcomes->size(), writes.size());
    return *std::move(outcomes);
  }
  BatchOutcome::Kind CommitOne(const model::Id& endpoint, wire::SealedBatch batch) {
    return Commit({Write(endpoint, std::move(batch))}).at(0).kind;
  }

  std::vector<SightingRow> Sightings(const SightingQuery& query = {}) {
    auto page = queries_->ListSightings(Scope::WholeFleet(), query);
    EXPECT_TRUE(page.has_value()) << page.error().ToString();
    return page.has_value() ? page->rows : std::vector<SightingRow>();
  }
  EndpointRow Endpoint(const model::Id& id) {
    auto page = queries_->ListEndpoints(Scope::WholeFleet(), {});
    EXPECT_TRUE(page.has_value());
    for (EndpointRow& row : page->rows) {
      if (row.id == id) return row;
    }
    ADD_FAILURE() << "no such endpoint";
    return {};
  }

  static NewBundle Bundle(std::uint64_t version, std::uint64_t floor, const std::string& part) {
    wire::BundleManifest manifest = tests::MakeManifest(version, floor);
    manifest.parts.push_back(tests::PartOf(wire::PartKind::kContent, part, {}));
    NewBundle bundle;
    bundle.document = tests::SignBundle(manifest);
    bundle.parts = {{manifest.parts[0], part}};
    bundle.manifest = manifest;
    bundle.text = "policy: " + std::to_string(version);
    bundle.published = tests::kTestEpoch;
    return bundle;
  }

  using Kind = BatchOutcome::Kind;
  std::unique_ptr<StorePlace> place_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Queries> queries_;
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreConformance);

TEST_P(StoreConformance, BelongsToOneFleetForEver) {
  Reopen();
  const auto fleet = queries_->Fleet();
  ASSERT_TRUE(fleet.has_value());
  EXPECT_EQ(fleet->lineage, tests::TestId(0x11));
  EXPECT_EQ(store_->AdoptFleet("another", tests::TestId(2), 1, {}).error().code(),
            base::ErrorCode::kFailedPrecondition);
  const auto roots = queries_->Roots();
  ASSERT_TRUE(roots.has_value());
  ASSERT_EQ(roots->size(), 1U);
  EXPECT_EQ(roots->front().bytes, tests::MakeTestFleet().signed_root.bytes);
}

TEST_P(StoreConformance, TakesOnlyTheRootThatEndpointsWouldFollow) {
  const std::string fleet = tests::MakeTestFleet().root.fleet_id;
  const auto adopt = [&](std::uint64_t version, const std::vector<int>& signers) {
    const wire::SignedDocument root = tests::SignRoot(tests::MakeRoot({4}, 1, version), signers);
    return store_->AdoptFleet(fleet, tests::TestId(2), version, root).has_value();
  };
  EXPECT_FALSE(adopt(2, {4})) << "not signed by the keys of the root before it";
  EXPECT_FALSE(adopt(3, {1, 4})) << "not the next one";
  EXPECT_EQ(queries_->Roots()->size(), 1U);
  EXPECT_TRUE(adopt(2, {1, 4}));
  EXPECT_TRUE(adopt(2, {1, 4})) << "again, as at every start";
  EXPECT_EQ(queries_->Roots()->size(), 2U);
}

TEST_P(StoreConformance, RefusesASecondRootOfOneVersion) {
  const std::string fleet = tests::MakeTestFleet().root.fleet_id;
  const auto adopt = [&](const std::vector<int>& root_keys) {
    const wire::Root root = tests::MakeRoot(root_keys, 1, 2);
    return store_->AdoptFleet(fleet, tests::TestId(2), 2, tests::SignRoot(root, {1, 4}));
  };
  ASSERT_TRUE(adopt({4}).has_value());
  EXPECT_EQ(adopt({1, 4}).error().code(), base::ErrorCode::kFailedPrecondition);
}

// The fast-forward attack, as the server is to survive it: whoever had the policy key published a
// version that is all but the last, with a floor as high.
TEST_P(StoreConformance, GoesBackToTheNewestPolicyThatANewRootStillTrusts) {
  const std::string fleet = tests::MakeTestFleet().root.fleet_id;
  const auto sign_by = [](NewBundle bundle, int key) {
    bundle.document.signatures.clear();
    EXPECT_TRUE(wire::Sign(bundle.document, wire::kDomainBundle, tests::TestKey(key)).has_value());
    return bundle;
  };
  wire::Root root = tests::MakeRoot({1}, 1, 2);
  root.keys.emplace(tests::TestKey(6).public_key().id(), tests::TestKey(6).public_key());
  root.roles[std::string(wire::kRolePolicy)].key_ids.push_back(tests::TestKey(6).public_key().id());
  ASSERT_TRUE(
      store_->AdoptFleet(fleet, tests::TestId(2), 2, tests::SignRoot(root, {1})).has_value());
  ASSERT_TRUE(store_->Publish(sign_by(Bundle(3, 1, "honest"), 6)).has_value());
  ASSERT_TRUE(store_->Publish(Bundle(4, 4, "stolen")).has_value());
  ASSERT_TRUE(store_->Publish(Bundle(900'000, 900'000, "stolen")).has_value());

  root.version = 3;
  root.keys.erase(tests::TestKey(2).public_key().id());
  root.roles[std::string(wire::kRolePolicy)].key_ids = {tests::TestKey(6).public_key().id()};
  ASSERT_TRUE(
      store_->AdoptFleet(fleet, tests::TestId(2), 3, tests::SignRoot(root, {1})).has_value());
  EXPECT_EQ(queries_->Fleet()->newest_policy, 3U);
  EXPECT_EQ(queries_->Fleet()->floor, 1U);
  EXPECT_EQ(queries_->Fleet()->next_policy, 5U) << "4 is used up";
  EXPECT_EQ(queries_->FindBundle(Scope::WholeFleet(), 0)->version, 3U);
  EXPECT_EQ(store_->Publish(sign_by(Bundle(4, 1, "honest"), 6)).error().code(),
            base::ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(store_->Publish(sign_by(Bundle(5, 3, "honest"), 6)).has_value());
  EXPECT_EQ(queries_->FindBundle(Scope::WholeFleet(), 0)->version, 5U);
}

TEST_P(StoreConformance, KeepsThePolicyWhenARootTakesNoPolicyKeyAway) {
  ASSERT_TRUE(store_->Publish(Bundle(2, 1, "part")).has_value());
  ASSERT_TRUE(store_
                  ->AdoptFleet(tests::MakeTestFleet().root.fleet_id, tests::TestId(2), 2,
                               tests::SignRoot(tests::MakeRoot({4}, 1, 2), {1, 4}))
                  .has_value());
  EXPECT_EQ(queries_->Fleet()->newest_policy, 2U);
  EXPECT_EQ(queries_->Fleet()->floor, 1U);
}

TEST_P(StoreConformance, RefusesAPolicyFarAboveTheNewest) {
  ASSERT_TRUE(store_->Publish(Bundle(2, 1, "part")).has_value());
  const std::uint64_t most = 2 + base::limits::kMaxPolicyVersionStep;
  EXPECT_EQ(store_->Publish(Bundle(most + 1, 1, "part")).error().code(),
            base::ErrorCode::kFailedPrecondition);
  EXPECT_EQ(store_->Publish(Bundle(INT64_MAX, 1, "part")).error().code(),
            base::ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(store_->Publish(Bundle(most, 1, "part")).has_value());
}

TEST_P(StoreConformance, ForgetsTheCoverageOfARootThatWasRemoved) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, script.Start()), Kind::kStored);
  model::Coverage kept;
  kept.sensor = "artifacts";
  kept.root.bytes = "/m";
  kept.state = model::CoverageState::kLooked;
  model::Coverage removed;
  removed.sensor = "artifacts";
  removed.root.bytes = "/old";
  CommitOne(endpoint, script.Seal({model::CoverageChanged{kept}, model::CoverageChanged{removed}}));
  EXPECT_EQ(queries_->Coverage(Scope::WholeFleet())->looked, 0U);
  removed.reason = model::CoverageReason::kRootRemoved;
  EXPECT_EQ(CommitOne(endpoint, script.Seal({model::CoverageChanged{removed}})), Kind::kStored);
  EXPECT_EQ(Endpoint(endpoint).coverage, std::vector<model::Coverage>{kept});
  EXPECT_EQ(queries_->Coverage(Scope::WholeFleet())->looked, 1U);
}

TEST_P(StoreConformance, KeepsCoverageUpToItsLimitAndSaysThatMoreIsNotKept) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, script.Start()), Kind::kStored);
  const auto cover = [&](const std::string& name, model::CoverageReason reason) {
    model::Coverage coverage;
    coverage.sensor = "artifacts";
    coverage.root.bytes = "/" + name + std::string(10'000, 'x');
    coverage.state = model::CoverageState::kLooked;
    coverage.reason = reason;
    EXPECT_EQ(CommitOne(endpoint, script.Seal({model::CoverageChanged{coverage}})), Kind::kStored);
  };
  constexpr std::size_t kFit = base::limits::kMaxCoverageBytes / 11'000;
  for (std::size_t i = 0; i < kFit; ++i) cover(std::to_string(i), {});
  cover("0", model::CoverageReason::kPermission);  // again: no more of them
  EXPECT_EQ(Endpoint(endpoint).coverage.size(), kFit);
  EXPECT_EQ(queries_->Coverage(Scope::WholeFleet())->looked, 1U);

  for (std::size_t i = kFit; i < 2 * kFit; ++i) cover(std::to_string(i), {});
  const auto kept = Endpoint(endpoint).coverage;
  EXPECT_LE(kept.size(), kFit + 2);
  const auto server = std::ranges::find(kept, "server", &model::Coverage::sensor);
  ASSERT_NE(server, kept.end());
  EXPECT_EQ(server->state, model::CoverageState::kPartly);
  EXPECT_EQ(server->reason, model::CoverageReason::kLimit);
  EXPECT_EQ(queries_->Coverage(Scope::WholeFleet())->partly, 1U);

  cover("0", model::CoverageReason::kRootRemoved);
  cover("1", model::CoverageReason::kRootRemoved);
  cover("next", {});
  EXPECT_EQ(Endpoint(endpoint).coverage.size(), kept.size() - 1) << "there is room again";

  model::Coverage in_its_name = *server;
  in_its_name.reason = model::CoverageReason::kRootRemoved;
  CommitOne(endpoint, script.Seal({model::CoverageChanged{in_its_name}}));
  EXPECT_EQ(queries_->Coverage(Scope::WholeFleet())->partly, 1U)
      << "that is not the endpoint's to take back";
  for (const auto reason : {model::ChainReason::kHeadUnknown, model::ChainReason::kCannotRefill}) {
    CommitOne(endpoint, script.Seal({model::ChainStarted{reason, {}, 0, {}}}));
    EXPECT_EQ(Endpoint(endpoint).coverage.size(), kept.size() - 1) << "it tells only changes";
  }
  CommitOne(endpoint,
            script.Seal({model::ChainStarted{model::ChainReason::kJournalLost, {}, 0, {}}}));
  EXPECT_TRUE(Endpoint(endpoint).coverage.empty()) << "everything is told anew";
}

TEST_P(StoreConformance, SpendsATokenOncePerUseAndSaysWhyItIsRefused) {
  const EnrolmentTokenRecord token = Token(0, 2);
  ASSERT_TRUE(store_->AddToken(token).has_value());
  EXPECT_TRUE(store_->Enrol(token.secret_sha256, tests::kTestEpoch, Machine(1)).has_value());
  EXPECT_TRUE(store_->Enrol(token.secret_sha256, tests::kTestEpoch, Machine(2)).has_value());
  const auto used_up = store_->Enrol(token.secret_sha256, tests::kTestEpoch, Machine(3));
  ASSERT_FALSE(used_up.has_value());
  EXPECT_EQ(used_up.error().code(), base::ErrorCode::kUnauthenticated);
  EXPECT_NE(used_up.error().message().find("used up (2 uses)"), std::string::npos);

  const EnrolmentTokenRecord old = Token(1, 1);
  ASSERT_TRUE(store_->AddToken(old).has_value());
  const auto expired = store_->Enrol(old.secret_sha256, old.expires, Machine(3));
  ASSERT_FALSE(expired.has_value());
  EXPECT_NE(expired.error().message().find("expired at"), std::string::npos);

  const auto unknown = store_->Enrol(tests::TestDigest(0), tests::kTestEpoch, Machine(3));
  ASSERT_FALSE(unknown.has_value());
  EXPECT_NE(unknown.error().message().find("does not know"), std::string::npos);
}

TEST_P(StoreConformance, GivesAnAgentThatLostTheAnswerTheSameIdentityAndSpendsNothing) {
  const EnrolmentTokenRecord token = Token(0, 1);
  ASSERT_TRUE(store_->AddToken(token).has_value());
  ASSERT_TRUE(store_->Enrol(token.secret_sha256, tests::kTestEpoch, Machine(1)).has_value());
  Reopen();
  NewEndpoint again{tests::TestId(99), Machine(1).key, Machine(1).machine};
  const auto id = store_->Enrol(token.secret_sha256, token.expires, again);
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(*id, tests::TestId(1));
}

TEST_P(StoreConformance, RefusesToEnrolARevokedKeyAgain) {
  const model::Id endpoint = Enrol(1);
  ASSERT_TRUE(store_->Revoke(Scope::WholeFleet(), endpoint, "lost", tests::kTestEpoch).has_value());
  const EnrolmentTokenRecord token = Token(50, 1);
  ASSERT_TRUE(store_->AddToken(token).has_value());
  const auto id = store_->Enrol(token.secret_sha256, tests::kTestEpoch, Machine(1));
  ASSERT_FALSE(id.has_value());
  EXPECT_EQ(id.error().code(), base::ErrorCode::kPermissionDenied);
  EXPECT_TRUE(store_->Enrol(token.secret_sha256, tests::kTestEpoch, Machine(2)).has_value())
      << "the refused enrolment must not spend the token";
}

TEST_P(StoreConformance, StoresAChainInOrderAndARepeatOnce) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  const wire::SealedBatch first = script.Start();
  const wire::SealedBatch second =
      script.Seal({model::SightingAppeared{tests::TestSighting("/m/a.gguf", 1)}});
  EXPECT_EQ(CommitOne(endpoint, first), Kind::kStored);
  EXPECT_EQ(CommitOne(endpoint, second), Kind::kStored);
  const auto again = Commit({Write(endpoint, first)}).at(0);
  EXPECT_EQ(again.kind, Kind::kRepeated);
  EXPECT_EQ(again.head.number, 2U);
  EXPECT_EQ(again.head.digest, wire::HeaderDigest(second.header));
  EXPECT_EQ(Endpoint(endpoint).events_stored, 2U);
  EXPECT_EQ(Sightings().size(), 1U);
}

TEST_P(StoreConformance, AsksForWhatIsMissing) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  const auto first = script.Start();
  const auto second = script.Seal({model::AgentStarted{"1", "linux", "12", "host"}});
  const auto third = script.Seal({model::AgentStarted{"1", "linux", "12", "host"}});
  auto outcome = Commit({Write(endpoint, second)}).at(0);
  EXPECT_EQ(outcome.kind, Kind::kGap);
  EXPECT_EQ(outcome.expected, 1U);
  EXPECT_EQ(CommitOne(endpoint, first), Kind::kStored);
  outcome = Commit({Write(endpoint, third)}).at(0);
  EXPECT_EQ(outcome.kind, Kind::kGap);
  EXPECT_EQ(outcome.expected, 2U);
}

TEST_P(StoreConformance, KeepsBothSidesOfAnEquivocation) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, script.Start()), Kind::kStored);
  const wire::ChainPosition before = script.position();
  const auto truth = script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}});
  script.position() = before;
  const auto lie = script.Seal({model::SightingAppeared{tests::TestSighting("/m/b", 2)}});
  EXPECT_EQ(CommitOne(endpoint, truth), Kind::kStored);
  EXPECT_EQ(CommitOne(endpoint, lie), Kind::kEquivocation);
  EXPECT_EQ(CommitOne(endpoint, lie), Kind::kEquivocation);
  EXPECT_EQ(CommitOne(endpoint, truth), Kind::kRepeated);
  const auto rows = Sightings();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].sighting.path.bytes, "/m/a");
}

TEST_P(StoreConformance, SetsApartWhatNamesAnotherPredecessor) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, script.Start()), Kind::kStored);
  const wire::ChainPosition honest = script.position();
  script.position().previous = tests::TestDigest(7);
  EXPECT_EQ(CommitOne(endpoint, script.Seal({model::BodiesDropped{}})), Kind::kBrokenChain);
  script.position() = honest;
  script.position().next_event = 9;
  EXPECT_EQ(CommitOne(endpoint, script.Seal({model::BodiesDropped{}})), Kind::kBrokenChain);
  script.position() = honest;
  EXPECT_EQ(CommitOne(endpoint, script.Seal({model::BodiesDropped{}})), Kind::kStored);
}

TEST_P(StoreConformance, SetsApartWhatARevokedKeySigned) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, script.Start()), Kind::kStored);
  ASSERT_TRUE(store_->Revoke(Scope::WholeFleet(), endpoint, "lost", tests::kTestEpoch).has_value());
  Reopen();
  EXPECT_EQ(
      CommitOne(endpoint, script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}})),
      Kind::kQuarantined);
  EXPECT_TRUE(Sightings().empty());
}

TEST_P(StoreConformance, TakesANewChainAndCallsTheOldOneGoingOnAClone) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript old_chain(tests::TestKey(11), tests::TestId(0xc1));
  tests::EndpointScript new_chain(tests::TestKey(11), tests::TestId(0xc2));
  EXPECT_EQ(CommitOne(endpoint, old_chain.Start()), Kind::kStored);
  const auto start = new_chain.Start(model::ChainReason::kHeadUnknown, tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, start), Kind::kStored);
  EXPECT_EQ(CommitOne(endpoint, new_chain.Seal({model::BodiesDropped{}})), Kind::kStored);
  EXPECT_EQ(CommitOne(endpoint, old_chain.Seal({model::BodiesDropped{}})), Kind::kClone);
  EXPECT_EQ(Endpoint(endpoint).state, EndpointState::kQuarantined);
  EXPECT_EQ(CommitOne(endpoint, new_chain.Seal({model::BodiesDropped{}})), Kind::kQuarantined);
}

TEST_P(StoreConformance, CallsASecondFirstChainOfOneKeyAClone) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript one(tests::TestKey(11), tests::TestId(0xc1));
  tests::EndpointScript two(tests::TestKey(11), tests::TestId(0xc2), 2);
  EXPECT_EQ(CommitOne(endpoint, one.Start()), Kind::kStored);
  EXPECT_EQ(CommitOne(endpoint, two.Start()), Kind::kClone);
}

TEST_P(StoreConformance, WantsAChainToBeginWithItsStart) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, script.Seal({model::BodiesDropped{}})), Kind::kBrokenChain);
}

TEST_P(StoreConformance, OneBadBatchNeverFailsItsGroup) {
  const model::Id one = Enrol(1);
  const model::Id two = Enrol(2);
  tests::EndpointScript good(tests::TestKey(11), tests::TestId(0xc1));
  tests::EndpointScript stolen(tests::TestKey(12), tests::TestId(0xc1), 2);
  tests::EndpointScript unknown(tests::TestKey(30), tests::TestId(0xc3), 3);
  const auto outcomes =
      Commit({Write(one, good.Start()), Write(two, stolen.Start()), Write(one, unknown.Start()),
              Write(tests::TestId(77), unknown.Start()),
              Write(one, good.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}}))});
  EXPECT_EQ(outcomes.at(0).kind, Kind::kStored);
  EXPECT_EQ(outcomes.at(1).kind, Kind::kRefused);
  EXPECT_EQ(outcomes.at(2).kind, Kind::kRefused);
  EXPECT_EQ(outcomes.at(3).kind, Kind::kRefused);
  EXPECT_EQ(outcomes.at(4).kind, Kind::kStored);
  EXPECT_EQ(Sightings().size(), 1U);
}

// What one or the other commit told, of few paths, so that everything meets everything.
inline model::EventBody AnyEvent(base::Random& random) {
  const std::string path = "/m/" + std::to_string(random.Below(4));
  model::Sighting sighting = tests::TestSighting(path, static_cast<int>(random.Below(3)));
  sighting.facts.license = random.Below(2) == 0 ? "mit" : "";
  if (random.Below(3) == 0) sighting.digest = {};
  model::Verdict verdict = tests::TestVerdict(static_cast<model::Outcome>(1 + random.Below(3)));
  verdict.rule = "r" + std::to_string(random.Below(2));
  switch (random.Below(5)) {
    case 0:
      return model::SightingAppeared{sighting};
    case 1:
      return model::SightingChanged{sighting};
    case 2:
      return model::SightingGone{{path}, model::GoneReason::kDeleted};
    default:
      return model::SightingJudged{{path}, sighting.digest.sha256, verdict};
  }
}

inline std::multiset<std::string> RowsOf(Queries& queries, const SightingQuery& query) {
  const auto page = queries.ListSightings(Scope::WholeFleet(), query);
  EXPECT_TRUE(page.has_value());
  std::multiset<std::string> rows;
  const auto time = [](base::WallTime at) { return base::FormatWallTime(at) + " "; };
  for (const SightingRow& row : page->rows) {
    std::string text = row.endpoint.ToHex() + row.sighting.path.bytes + " " + time(row.first_seen) +
                       time(row.last_change) + (row.gone ? time(*row.gone) : "") +
                       row.sighting.facts.license + " ";
    if (row.sighting.digest.sha256) text += row.sighting.digest.sha256->ToHex();
    if (row.verdict) text += model::OutcomeName(row.verdict->outcome);
    if (row.verdict) text += " " + row.verdict->rule;
    rows.insert(std::move(text));
  }
  return rows;
}

TEST_P(StoreConformance, AGroupOfBatchesSaysWhatTheySayOneByOne) {
  const std::unique_ptr<StorePlace> other_place = GetParam()();
  const auto other = other_place->Open();
  const auto other_queries = other->OpenQueries();
  ASSERT_TRUE(other_queries.has_value());
  base::SeededRandom random(5);
  std::vector<tests::EndpointScript> scripts;
  for (std::uint8_t n = 1; n <= 2; ++n) {
    Enrol(n);
    ASSERT_TRUE(other->AddToken(Token(n, 1)).has_value());
    ASSERT_TRUE(other->Enrol(Token(n, 1).secret_sha256, tests::kTestEpoch, Machine(n)).has_value());
    scripts.emplace_back(tests::TestKey(10 + n), tests::TestId(0xc0 + n));
  }
  for (int group = 0; group < 150; ++group) {
    std::vector<BatchWrite> writes;
    for (std::size_t batch = 1 + random.Below(6); batch > 0; --batch) {
      const std::size_t n = random.Below(2);
      tests::EndpointScript& script = scripts[n];
      const bool first = script.position().next_number == 1;
      script.set_wall(tests::kTestEpoch + std::chrono::seconds(group) +
                      std::chrono::microseconds(random.Below(3)));
      writes.push_back(Write(tests::TestId(static_cast<std::uint8_t>(n + 1)),
                             first ? script.Start() : script.Seal({AnyEvent(random)})));
    }
    for (const BatchOutcome& outcome : Commit(writes)) ASSERT_EQ(outcome.kind, Kind::kStored);
    for (const BatchWrite& write : writes) {
      ASSERT_TRUE(other->CommitBatches({&write, 1}, NoFindings).has_value());
    }
    SightingQuery query;
    query.page.size = base::limits::kMaxPageSize;
    ASSERT_EQ(RowsOf(*queries_, query), RowsOf(**other_queries, query)) << group;
    query.include_gone = true;
    ASSERT_EQ(RowsOf(*queries_, query), RowsOf(**other_queries, query)) << group;
    query.include_gone = false;
    query.page.as_of = tests::kTestEpoch + std::chrono::seconds(random.Below(150));
    ASSERT_EQ(RowsOf(*queries_, query), RowsOf(**other_queries, query)) << group;
    // By columns that repeat the verdict.
    query.page.as_of.reset();
    query.page.filter = query::ParseFilter(query::Sightings(), "verdict = deny").value();
    ASSERT_EQ(RowsOf(*queries_, query), RowsOf(**other_queries, query)) << group;
  }
  EXPECT_GT(Sightings().size(), 3U);
}

TEST_P(StoreConformance, KeepsHeadersWhoseBodiesAreGoneAndBodiesThatItCannotRead) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, script.Start()), Kind::kStored);
  auto hollow = script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}});
  hollow.events.clear();
  EXPECT_EQ(CommitOne(endpoint, hollow), Kind::kStored);
  BatchWrite strange =
      Write(endpoint, script.Seal({model::SightingAppeared{tests::TestSighting("/m/b", 2)}}));
  strange.events.at(0).reset();
  EXPECT_EQ(Commit({strange}).at(0).kind, Kind::kStored);
  const EndpointRow row = Endpoint(endpoint);
  EXPECT_EQ(row.events_stored, 2U);
  EXPECT_EQ(row.events_unreadable, 1U);
  EXPECT_EQ(CommitOne(endpoint, script.Seal({model::BodiesDropped{}})), Kind::kStored);
}

TEST_P(StoreConformance, ContinuesASightingWhoseDigestBecomesKnownAndEndsItWhenItChanges) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  model::Sighting pending = tests::TestSighting("/m/a", 1);
  pending.digest = {};
  CommitOne(endpoint, script.Seal({model::SightingAppeared{pending}}));
  CommitOne(endpoint, script.Seal({model::SightingChanged{tests::TestSighting("/m/a", 1)}}));
  SightingQuery all;
  all.include_gone = true;
  ASSERT_EQ(Sightings(all).size(), 1U);
  EXPECT_EQ(Sightings(all)[0].sighting, tests::TestSighting("/m/a", 1));

  CommitOne(endpoint, script.Seal({model::SightingChanged{tests::TestSighting("/m/a", 2)}}));
  ASSERT_EQ(Sightings(all).size(), 2U);
  ASSERT_EQ(Sightings().size(), 1U);
  EXPECT_EQ(Sightings()[0].sighting.digest.sha256, tests::TestDigest(2));

  CommitOne(endpoint, script.Seal({model::SightingGone{{"/m/a"}, model::GoneReason::kDeleted}}));
  EXPECT_TRUE(Sightings().empty());
  EXPECT_EQ(Sightings(all).size(), 2U);
}

TEST_P(StoreConformance, WhatARevokedEndpointHadIsNoPartOfWhatIsThereNow) {
  const base::WallTime revoked = tests::kTestEpoch + std::chrono::hours(1);
  const model::Id lost = Enrol(1);
  const model::Id kept = Enrol(2);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  tests::EndpointScript other(tests::TestKey(12), tests::TestId(0xc2));
  for (const auto& [endpoint, told] : {std::pair(lost, &script), std::pair(kept, &other)}) {
    CommitOne(endpoint, told->Start());
    CommitOne(endpoint, told->Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}}));
    CommitOne(endpoint,
              told->Seal({model::SightingJudged{
                  {"/m/a"}, tests::TestDigest(1), tests::TestVerdict(model::Outcome::kDeny)}}));
  }
  // By a clock that goes before.
  script.set_wall(revoked + std::chrono::hours(1));
  CommitOne(lost, script.Seal({model::SightingAppeared{tests::TestSighting("/m/later", 2)}}));

  ASSERT_TRUE(store_->Revoke(Scope::WholeFleet(), lost, "lost", revoked).has_value());
  ASSERT_TRUE(store_->Revoke(Scope::WholeFleet(), lost, "again", revoked + std::chrono::hours(2))
                  .has_value());
  EXPECT_EQ(CommitOne(lost, script.Seal({model::SightingAppeared{tests::TestSighting("/m/b", 1)}})),
            Kind::kQuarantined);
  Reopen();
  ASSERT_EQ(Sightings().size(), 1U);
  EXPECT_EQ(Sightings()[0].endpoint, kept);
  SightingQuery where;
  where.sha256 = tests::TestDigest(1);
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->endpoints, 1U);
  EXPECT_EQ(queries_->CountVerdicts(Scope::WholeFleet(), std::nullopt, std::nullopt)->deny, 1U);
  EXPECT_EQ(queries_->CountVerdicts(Scope::WholeFleet(), lost, std::nullopt)->deny, 0U);
  EXPECT_EQ(queries_->Statistics(Scope::WholeFleet())->verdicts.deny, 1U);
  const auto artifacts = queries_->ListArtifacts(Scope::WholeFleet(), {});
  ASSERT_EQ(artifacts->rows.size(), 2U);
  EXPECT_EQ(artifacts->rows[0].places, 1U);
  EXPECT_EQ(artifacts->rows[1].places, 0U);
  EXPECT_EQ(Endpoint(lost).sightings, 0U);

  // What it told stays, and so does what was there before.
  EXPECT_EQ(queries_->ListEvents(Scope::WholeFleet(), lost, {})->total, 4U);
  where.include_gone = true;
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->total, 2U);
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->present, 1U);
  where.include_gone = false;
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->present, 1U);
  where.page.as_of = revoked - base::Duration(1);
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->endpoints, 2U);
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->present, 2U);
  where.page.as_of = revoked;
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->endpoints, 1U);
  SightingQuery gone;
  gone.endpoint = lost;
  gone.include_gone = true;
  ASSERT_EQ(Sightings(gone).size(), 2U);
  EXPECT_EQ(Sightings(gone)[0].gone, revoked);
  EXPECT_EQ(Sightings(gone)[0].verdict->outcome, model::Outcome::kDeny);
  EXPECT_EQ(Sightings(gone)[1].gone, Sightings(gone)[1].first_seen);
}

TEST_P(StoreConformance, TellsAnEndpointsKeyAndWhyItWasRevoked) {
  const model::Id endpoint = Enrol(1);
  EXPECT_EQ(Endpoint(endpoint).key_sha256, tests::TestKey(11).public_key().id());
  EXPECT_EQ(Endpoint(endpoint).key_added, tests::kTestEpoch);
  EXPECT_EQ(Endpoint(endpoint).revoked, std::nullopt);
  EXPECT_EQ(Endpoint(endpoint).revoked_reason, "");
  const base::WallTime revoked = tests::kTestEpoch + std::chrono::hours(1);
  ASSERT_TRUE(
      store_->Revoke(Scope::WholeFleet(), endpoint, "lost in a train", revoked).has_value());
  ASSERT_TRUE(
      store_->Revoke(Scope::WholeFleet(), endpoint, "again", revoked + std::chrono::hours(1))
          .has_value());
  EXPECT_EQ(Endpoint(endpoint).revoked, revoked);
  EXPECT_EQ(queries_->GetEndpoint(Scope::WholeFleet(), endpoint, std::nullopt)->revoked_reason,
            "lost in a train");
  Enrol(2);
  PageQuery query;
  for (const std::string& filter :
       {std::string("revoked_reason:train AND revoked_time:*"),
        "key_sha256 = " + tests::TestKey(11).public_key().id().ToHex()}) {
    query.filter = query::ParseFilter(query::Endpoints(), filter).value();
    const auto page = queries_->ListEndpoints(Scope::WholeFleet(), {query, {}});
    ASSERT_TRUE(page.has_value()) << page.error().ToString();
    ASSERT_EQ(page->rows.size(), 1U) << filter;
    EXPECT_EQ(page->rows[0].id, endpoint);
  }
}

TEST_P(StoreConformance, JoinsAVerdictThatCameBeforeItsSighting) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  CommitOne(endpoint,
            script.Seal({model::SightingJudged{
                {"/m/a"}, tests::TestDigest(1), tests::TestVerdict(model::Outcome::kDeny)}}));
  CommitOne(endpoint, script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)},
                                   model::SightingAppeared{tests::TestSighting("/m/b", 2)}}));
  const auto rows = Sightings();
  ASSERT_EQ(rows.size(), 2U);
  ASSERT_TRUE(rows[0].verdict.has_value());
  EXPECT_EQ(*rows[0].verdict, tests::TestVerdict(model::Outcome::kDeny));
  EXPECT_FALSE(rows[1].verdict.has_value());
  const EndpointRow row = Endpoint(endpoint);
  EXPECT_EQ(row.sightings, 2U);
  EXPECT_EQ(row.denied, 1U);
  EXPECT_EQ(row.warned, 0U);
}

// Batches hold one class of events each: that a file went may come before what was judged of it.
TEST_P(StoreConformance, AVerdictThatCameAfterItsSightingHadGoneIsBesideIt) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  const auto say = [&](int second, model::EventBody body) {
    script.set_wall(tests::kTestEpoch + std::chrono::seconds(second));
    return Write(endpoint, script.Seal({std::move(body)}));
  };
  const auto judged = [](model::Outcome outcome) {
    return model::SightingJudged{{"/m/a"}, std::nullopt, tests::TestVerdict(outcome)};
  };
  const auto deny = std::optional(model::Outcome::kDeny);
  const auto allow = std::optional(model::Outcome::kAllow);
  Commit({say(10, model::SightingAppeared{tests::TestSighting("/m/a", 1)})});
  Commit({say(30, model::SightingChanged{tests::TestSighting("/m/a", 2)})});
  Commit({say(20, judged(model::Outcome::kDeny))});
  Commit({say(40, judged(model::Outcome::kAllow))});
  // And all of it in one group.
  Commit({say(50, model::SightingChanged{tests::TestSighting("/m/a", 3)}),
          say(70, model::SightingGone{{"/m/a"}, model::GoneReason::kDeleted}),
          say(60, judged(model::Outcome::kDeny))});
  const auto outcomes = [this](SightingQuery query) {
    std::vector<std::optional<model::Outcome>> all;
    for (const SightingRow& row : Sightings(query)) {
      all.push_back(row.verdict ? std::optional(row.verdict->outcome) : std::nullopt);
    }
    return all;
  };
  using Outcomes = std::vector<std::optional<model::Outcome>>;
  SightingQuery query;
  query.include_gone = true;
  EXPECT_EQ(outcomes(query), (Outcomes{deny, allow, deny}));
  query.page.filter = query::ParseFilter(query::Sightings(), "verdict = deny").value();
  EXPECT_EQ(outcomes(query), (Outcomes{deny, deny}));
  query = {};
  for (const auto& [second, expected] :
       {std::pair(10, Outcomes{std::nullopt}), std::pair(20, Outcomes{deny}),
        std::pair(30, Outcomes{deny}), std::pair(40, Outcomes{allow}),
        std::pair(50, Outcomes{allow}), std::pair(60, Outcomes{deny}), std::pair(70, Outcomes{})}) {
    query.page.as_of = tests::kTestEpoch + std::chrono::seconds(second);
    EXPECT_EQ(outcomes(query), expected) << second;
    const auto counts =
        queries_->CountVerdicts(Scope::WholeFleet(), std::nullopt, query.page.as_of);
    ASSERT_TRUE(counts.has_value());
    const auto count = [&expected = expected](std::optional<model::Outcome> outcome) {
      return static_cast<std::uint64_t>(std::ranges::count(expected, outcome));
    };
    EXPECT_EQ(counts->deny, count(deny)) << second;
    EXPECT_EQ(counts->allow, count(allow)) << second;
    EXPECT_EQ(counts->pending, count(std::nullopt)) << second;
  }
}

TEST_P(StoreConformance, KeepsHostilePathsByteForByte) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  const std::vector<std::string> paths = {
      "/m/new\nline",       "/m/not utf-8 \xff\xfe",        "/m/<script>alert(1)</script>",
      "/m/'; DROP TABLE x", "/m/" + std::string(4093, 'x'), "/m/\x1b[31mred",
      "/m/a\\x0a"};
  std::vector<model::EventBody> events;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    events.push_back(model::SightingAppeared{tests::TestSighting(paths[i], static_cast<int>(i))});
  }
  EXPECT_EQ(CommitOne(endpoint, script.Seal(events)), Kind::kStored);
  Reopen();
  const auto rows = Sightings();
  ASSERT_EQ(rows.size(), paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    EXPECT_EQ(rows[i].sighting.path.bytes, paths[i]);
  }
}

TEST_P(StoreConformance, TimesAreCorrectedByTheClockOffset) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  BatchWrite write =
      Write(endpoint, script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}}));
  write.clock_offset = std::chrono::hours(2);
  write.received += std::chrono::hours(2);
  Commit({write});
  EXPECT_EQ(Sightings().at(0).first_seen, tests::kTestEpoch + std::chrono::hours(2));
}

TEST_P(StoreConformance, PagesAreStableAndTotalsAgreeWithRows) {
  const model::Id one = Enrol(1);
  const model::Id two = Enrol(2);
  tests::EndpointScript a(tests::TestKey(11), tests::TestId(0xc1));
  tests::EndpointScript b(tests::TestKey(12), tests::TestId(0xc2));
  CommitOne(one, a.Start());
  CommitOne(two, b.Start());
  for (int i = 0; i < 5; ++i) {
    const std::string path = "/m/" + std::to_string(i);
    CommitOne(one, a.Seal({model::SightingAppeared{tests::TestSighting(path, i % 2)}}));
  }
  CommitOne(two, b.Seal({model::SightingAppeared{tests::TestSighting("/n", 1)}}));

  SightingQuery query;
  query.page.size = 2;
  std::vector<std::string> seen;
  while (true) {
    const auto page = queries_->ListSightings(Scope::WholeFleet(), query);
    ASSERT_TRUE(page.has_value());
    EXPECT_EQ(page->total, 6U) << "as it was for the first page";
    for (const SightingRow& row : page->rows) seen.push_back(row.sighting.path.bytes);
    if (seen.size() == 2) {  // what comes meanwhile moves nothing
      CommitOne(two, b.Seal({model::SightingAppeared{tests::TestSighting("/new", 9)}}));
    }
    if (!page->next.has_value()) break;
    query.page.after = page->next;
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"/m/0", "/m/1", "/m/2", "/m/3", "/m/4", "/n", "/new"}));

  SightingQuery where;
  where.sha256 = tests::TestDigest(1);
  const auto found = queries_->ListSightings(Scope::WholeFleet(), where);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->total, 3U);
  EXPECT_EQ(found->rows.size(), 3U);
  EXPECT_EQ(found->endpoints, 2U);
  where.endpoint = two;
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->total, 1U);
  SightingQuery nowhere;
  nowhere.sha256 = tests::TestDigest(4711);
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), nowhere)->total, 0U);
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), nowhere)->coverage.endpoints, 2U);
}

TEST_P(StoreConformance, WhatAuditRulesWouldDecideIsCountedByRule) {
  const model::Id one = Enrol(1);
  const model::Id two = Enrol(2);
  tests::EndpointScript a(tests::TestKey(11), tests::TestId(0xc1));
  tests::EndpointScript b(tests::TestKey(12), tests::TestId(0xc2));
  const auto judged = [](const std::string& path, std::vector<std::string> audits) {
    model::Verdict verdict = tests::TestVerdict(model::Outcome::kAllow);
    verdict.audits = std::move(audits);
    return model::EventBody(model::SightingJudged{{path}, std::nullopt, std::move(verdict)});
  };
  const auto seen = [](const std::string& path) {
    return model::EventBody(model::SightingAppeared{tests::TestSighting(path, 1)});
  };
  for (const auto& batch :
       {a.Start(), a.Seal({seen("/m/a"), seen("/m/b"), seen("/m/c")}),
        a.Seal({judged("/m/a", {"x", "y"}), judged("/m/b", {"x"}), judged("/m/c", {"z"})}),
        a.Seal({model::SightingGone{{"/m/c"}, model::GoneReason::kDeleted}})}) {
    CommitOne(one, batch);
  }
  for (const auto& batch : {b.Start(), b.Seal({seen("/m/a")}), b.Seal({judged("/m/a", {"x"})})}) {
    CommitOne(two, batch);
  }
  using Counts = decltype(VerdictCounts::audits);
  EXPECT_EQ(queries_->CountVerdicts(Scope::WholeFleet(), std::nullopt, std::nullopt)->audits,
            (Counts{{"x", 3}, {"y", 1}}));
  EXPECT_EQ(queries_->CountVerdicts(Scope::WholeFleet(), two, std::nullopt)->audits,
            (Counts{{"x", 1}}));
  // Endpoints may name what they like.
  std::vector<model::EventBody> hostile;
  for (std::size_t i = 0; i < base::limits::kMaxCountedAudits; ++i) {
    const std::string path = "/h/" + std::to_string(i);
    hostile.push_back(judged(path, {"h" + std::to_string(i)}));
    CommitOne(two, b.Seal({seen(path)}));
    if (hostile.size() == 250) CommitOne(two, b.Seal(std::exchange(hostile, {})));
  }
  EXPECT_EQ(queries_->CountVerdicts(Scope::WholeFleet(), std::nullopt, std::nullopt)->audits.size(),
            base::limits::kMaxCountedAudits);
}

// They are read a thousand at a time.
TEST_P(StoreConformance, VisitsEachPresentSightingOnce) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  const auto visited = [this] {
    std::multiset<std::string> paths;
    const auto status = queries_->VisitPresent(
        Scope::WholeFleet(), [&](const PresentSighting& present) -> base::Status {
          EXPECT_EQ(present.sighting, tests::TestSighting(present.sighting.path.bytes, 1));
          EXPECT_EQ(present.judged.has_value(), present.sighting.path.bytes == "/m/judged");
          EXPECT_EQ(present.judged ? present.judged->rule : "default", "default");
          paths.insert(present.sighting.path.bytes);
          return {};
        });
    EXPECT_TRUE(status.has_value()) << status.error().ToString();
    return paths;
  };
  EXPECT_TRUE(visited().empty());
  std::multiset<std::string> told;
  const auto tell = [&](int sightings) {
    std::vector<model::EventBody> events;
    for (int i = 0; i < sightings; ++i) {
      const std::string path = "/m/" + std::to_string(told.size());
      events.emplace_back(model::SightingAppeared{tests::TestSighting(path, 1)});
      told.insert(path);
      if (events.size() < base::limits::kMaxEventsPerBatch && i + 1 < sightings) continue;
      CommitOne(endpoint, script.Seal(std::exchange(events, {})));
    }
  };
  for (const int more : {999, 1, 1'000}) {
    tell(more);
    EXPECT_EQ(visited(), told);
  }
  CommitOne(endpoint,
            script.Seal({model::SightingAppeared{tests::TestSighting("/m/judged", 1)},
                         model::SightingJudged{
                             {"/m/judged"}, {}, tests::TestVerdict(model::Outcome::kDeny)}}));
  told.insert("/m/judged");
  EXPECT_EQ(visited(), told);
}

TEST_P(StoreConformance, CoverageCountsEveryEndpointThatIsNotRevoked) {
  const auto coverage = [](model::CoverageState state, model::CoverageReason reason,
                           const std::string& root) {
    model::Coverage c;
    c.sensor = "artifacts";
    c.root.bytes = root;
    c.state = state;
    c.reason = reason;
    return model::CoverageChanged{c};
  };
  using State = model::CoverageState;
  using Reason = model::CoverageReason;
  const std::vector<std::vector<model::EventBody>> said = {
      {coverage(State::kLooked, Reason::kNone, "/"),
       coverage(State::kCouldNot, Reason::kPseudoFileSystem, "/proc")},
      {coverage(State::kLooked, Reason::kNone, "/"),
       coverage(State::kPartly, Reason::kPermission, "/home")},
      {coverage(State::kCouldNot, Reason::kNotMounted, "/")},
      {},
      {coverage(State::kLooked, Reason::kNone, "/")}};
  for (std::size_t i = 0; i < said.size(); ++i) {
    const auto n = static_cast<std::uint8_t>(i + 1);
    const model::Id endpoint = Enrol(n);
    tests::EndpointScript script(tests::TestKey(10 + n), tests::TestId(n));
    CommitOne(endpoint, script.Start());
    if (!said[i].empty()) CommitOne(endpoint, script.Seal(said[i]));
    if (i == 4) {
      ASSERT_TRUE(store_->Revoke(Scope::WholeFleet(), endpoint, "", tests::kTestEpoch).has_value());
    }
  }
  const auto counted = queries_->Coverage(Scope::WholeFleet());
  ASSERT_TRUE(counted.has_value());
  EXPECT_EQ(counted->endpoints, 4U);
  EXPECT_EQ(counted->looked, 1U);
  EXPECT_EQ(counted->partly, 1U);
  EXPECT_EQ(counted->none, 2U);
}

TEST_P(StoreConformance, CoverageOfAPastMomentIsWhatWasSaidUntilThen) {
  const auto said = [](const std::string& root, model::CoverageState state) {
    model::Coverage coverage;
    coverage.sensor = "artifacts";
    coverage.root.bytes = root;
    coverage.state = state;
    return model::CoverageChanged{coverage};
  };
  using enum model::CoverageState;
  const auto at = [&](std::chrono::seconds after) {
    SightingQuery query;
    query.page.as_of = tests::kTestEpoch + after;
    const FleetCoverage counted = queries_->ListSightings(Scope::WholeFleet(), query)->coverage;
    return std::vector{counted.endpoints, counted.looked, counted.partly, counted.none};
  };
  using Counts = std::vector<std::uint64_t>;
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  script.set_wall(tests::kTestEpoch + std::chrono::seconds(10));
  CommitOne(endpoint, script.Start());
  CommitOne(endpoint, script.Seal({said("/", kLooked), said("/home", kLooked)}));
  EXPECT_EQ(at(std::chrono::seconds(-1)), Counts({0, 0, 0, 0})) << "it was not enrolled yet";
  EXPECT_EQ(at(std::chrono::seconds(9)), Counts({1, 0, 0, 1}));
  EXPECT_EQ(at(std::chrono::seconds(10)), Counts({1, 1, 0, 0}));

  script.set_wall(tests::kTestEpoch + std::chrono::seconds(20));
  CommitOne(endpoint, script.Seal({said("/home", kPartly)}));
  EXPECT_EQ(at(std::chrono::seconds(19)), Counts({1, 1, 0, 0}));
  EXPECT_EQ(at(std::chrono::seconds(20)), Counts({1, 0, 1, 0}));

  script.set_wall(tests::kTestEpoch + std::chrono::seconds(15));
  CommitOne(endpoint, script.Seal({said("/home", kCouldNot), said("/", kCouldNot)}));
  EXPECT_EQ(at(std::chrono::seconds(15)), Counts({1, 0, 1, 0}))
      << "the clock went back, and what was told before stays";
  EXPECT_EQ(at(std::chrono::seconds(20)), Counts({1, 0, 0, 1}));

  const base::WallTime revoked = tests::kTestEpoch + std::chrono::seconds(30);
  ASSERT_TRUE(store_->Revoke(Scope::WholeFleet(), endpoint, "", revoked).has_value());
  EXPECT_EQ(at(std::chrono::seconds(29)), Counts({1, 0, 0, 1}));
  EXPECT_EQ(at(std::chrono::seconds(30)), Counts({0, 0, 0, 0}));
}

// A clock that goes back or ahead takes nothing of what was, and holds nothing up.
TEST_P(StoreConformance, AClockThatStepsLeavesThePastAsItWasTold) {
  using std::chrono::seconds;
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  const auto tell = [&](int at, int received, std::uint64_t version) {
    model::PolicyApplied applied;
    applied.version = version;
    model::Verdict verdict = tests::TestVerdict(model::Outcome::kAllow);
    verdict.rule = std::to_string(version);
    script.set_wall(tests::kTestEpoch + seconds(at));
    BatchWrite write = Write(
        endpoint, script.Seal({applied, model::SightingJudged{model::Path{"/m"}, {}, verdict}}));
    write.received = tests::kTestEpoch + seconds(received);
    EXPECT_EQ(Commit({write}).at(0).kind, BatchOutcome::Kind::kStored);
  };
  script.set_wall(tests::kTestEpoch + seconds(6));
  CommitOne(endpoint, script.Seal({model::SightingAppeared{tests::TestSighting("/m", 1)}}));
  tell(10, 10, 1);
  tell(100, 100, 2);
  tell(5, 110, 3);  // it went back
  tell(8, 120, 4);
  tell(1'000'000, 130, 5);  // it went far ahead
  tell(140, 140, 6);
  const auto at = [&](int moment) {
    SightingQuery question;
    question.page.as_of = tests::kTestEpoch + seconds(moment);
    const auto sightings = queries_->ListSightings(Scope::WholeFleet(), question);
    const auto& verdict = sightings->rows.at(0).verdict;
    const auto row = queries_->GetEndpoint(Scope::WholeFleet(), endpoint, question.page.as_of);
    EXPECT_EQ(verdict ? verdict->rule : "0", std::to_string(row->policy_version)) << moment;
    return row->policy_version;
  };
  EXPECT_EQ(at(9), 0U);
  EXPECT_EQ(at(10), 1U);
  EXPECT_EQ(at(99), 1U) << "what was told before the step";
  EXPECT_EQ(at(100), 4U) << "the newest of those that began with the second";
  EXPECT_EQ(at(129), 4U);
  EXPECT_EQ(at(130), 5U) << "not after it was received";
  EXPECT_EQ(at(140), 6U);
}

TEST_P(StoreConformance, ARootThatComesBackWithAnOlderClockBeginsWhereItWent) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  const auto tell = [&](int at, model::CoverageState state, model::CoverageReason reason) {
    model::Coverage coverage;
    coverage.sensor = "artifacts";
    coverage.root.bytes = "/";
    coverage.state = state;
    coverage.reason = reason;
    script.set_wall(tests::kTestEpoch + std::chrono::seconds(at));
    EXPECT_EQ(CommitOne(endpoint, script.Seal({model::CoverageChanged{coverage}})),
              BatchOutcome::Kind::kStored);
  };
  using enum model::CoverageState;
  tell(10, kLooked, model::CoverageReason::kNone);
  tell(20, kCouldNot, model::CoverageReason::kRootRemoved);
  tell(10, kPartly, model::CoverageReason::kNone);  // at the very moment of the first
  tell(30, kLooked, model::CoverageReason::kNone);
  const auto at = [&](int moment) {
    return queries_
        ->GetEndpoint(Scope::WholeFleet(), endpoint,
                      tests::kTestEpoch + std::chrono::seconds(moment))
        ->coverage_state;
  };
  EXPECT_EQ(at(19), kLooked);
  EXPECT_EQ(at(20), kPartly);
  EXPECT_EQ(at(30), kLooked);
}

TEST_P(StoreConformance, KeepsSoMuchOfTheChangesOfAnEndpoint) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  const auto said = [&](std::uint64_t n) {
    model::PolicyApplied applied;
    applied.version = n;
    model::Coverage coverage;
    coverage.sensor = "artifacts";
    coverage.root.bytes = "/";
    coverage.state = model::CoverageState::kLooked;
    coverage.files_seen = n;
    script.set_wall(tests::kTestEpoch + std::chrono::seconds(10 + n));
    CommitOne(endpoint, script.Seal({applied}));
    CommitOne(endpoint, script.Seal({model::CoverageChanged{coverage}}));
  };
  const std::uint64_t all = base::limits::kMaxPastIntervals + 10;
  for (std::uint64_t n = 1; n <= all; ++n) said(n);
  const auto at = [&](std::uint64_t n) {
    return *queries_->GetEndpoint(Scope::WholeFleet(), endpoint,
                                  tests::kTestEpoch + std::chrono::seconds(10 + n));
  };
  for (const std::uint64_t n : {all, all - 1, all - base::limits::kMaxPastIntervals}) {
    EXPECT_EQ(at(n).policy_version, n);
    ASSERT_EQ(at(n).coverage.size(), 1U) << n;
    EXPECT_EQ(at(n).coverage[0].files_seen, n);
  }
  const EndpointRow before = at(all - base::limits::kMaxPastIntervals - 1);
  EXPECT_EQ(before.policy_version, 0U);
  EXPECT_EQ(before.coverage_state, model::CoverageState::kCouldNot);
}

TEST_P(StoreConformance, APolicyThatIsInForcePartlyIsCountedAsSuch) {
  const NewBundle bundle = Bundle(1, 0, "part");
  ASSERT_TRUE(store_->Publish(bundle).has_value());
  for (std::uint8_t n = 1; n <= 3; ++n) {
    const model::Id endpoint = Enrol(n);
    tests::EndpointScript script(tests::TestKey(10 + n), tests::TestId(n));
    CommitOne(endpoint, script.Start());
    model::PolicyApplied applied;
    applied.version = 1;
    applied.partly = n != 1;
    CommitOne(endpoint, script.Seal({applied}));
    EXPECT_EQ(queries_->GetEndpoint(Scope::WholeFleet(), endpoint, std::nullopt)->policy_partly,
              applied.partly);
  }
  ASSERT_TRUE(
      store_->Revoke(Scope::WholeFleet(), tests::TestId(3), "", tests::kTestEpoch).has_value());
  EXPECT_EQ(queries_->FindBundle(Scope::WholeFleet(), 1)->endpoints_in_force, 2U);
  EXPECT_EQ(queries_->FindBundle(Scope::WholeFleet(), 1)->endpoints_partly, 1U);
  EXPECT_EQ(queries_->ListPolicies(Scope::WholeFleet(), {})->rows.at(0).endpoints_partly, 1U);
  EXPECT_EQ(queries_->Statistics(Scope::WholeFleet())->endpoints_in_force, 2U);
  EXPECT_EQ(queries_->Statistics(Scope::WholeFleet())->endpoints_partly, 1U);
}

TEST_P(StoreConformance, FindingsAreOneByKeyCountedResolvedAndOpenedAgain) {
  const model::Id endpoint = Enrol(1);
  FindingChange open;
  open.dedupe_key = "rule/x";
  open.rule = "rule";
  open.endpoint = endpoint;
  open.severity = model::Severity::kHigh;
  open.at = tests::kTestEpoch;
  FindingChange resolve = open;
  resolve.resolve = true;
  ASSERT_TRUE(store_->RecordFindings(std::vector{open, open}).has_value());
  auto page = queries_->ListFindings(Scope::WholeFleet(), false, {});
  ASSERT_EQ(page->total, 1U);
  EXPECT_EQ(page->rows[0].count, 2U);
  ASSERT_TRUE(store_->RecordFindings(std::vector{resolve}).has_value());
  EXPECT_EQ(queries_->ListFindings(Scope::WholeFleet(), false, {})->total, 0U);
  EXPECT_EQ(queries_->ListFindings(Scope::WholeFleet(), true, {})->total, 1U);
  ASSERT_TRUE(store_->RecordFindings(std::vector{open}).has_value());
  page = queries_->ListFindings(Scope::WholeFleet(), false, {});
  ASSERT_EQ(page->total, 1U);
  EXPECT_EQ(page->rows[0].count, 3U);
}

// What becomes of a finding that is seen again, or whose matter has passed, from each state.
TEST_P(StoreConformance, FindingsStayAsPeopleLeftThem) {
  FindingChange seen;
  seen.rule = "rule";
  seen.endpoint = Enrol(1);
  seen.severity = model::Severity::kMedium;
  seen.at = tests::kTestEpoch;
  using State = FindingState;
  struct Case {
    State left;
    State seen_again;
    State seen_graver;
    State passed;
  };
  const Case cases[] = {
      {State::kOpen, State::kOpen, State::kOpen, State::kResolved},
      {State::kAcknowledged, State::kAcknowledged, State::kAcknowledged, State::kResolved},
      {State::kDismissed, State::kDismissed, State::kOpen, State::kDismissed}};
  std::uint64_t id = 0;
  for (const Case& c : cases) {
    for (const int what : {0, 1, 2}) {
      seen.dedupe_key = std::to_string(++id);
      ASSERT_TRUE(store_->RecordFindings(std::vector{seen}).has_value());
      const FindingComment comment{tests::kTestEpoch, {tests::TestId(9), "ada"}, c.left, "why"};
      ASSERT_TRUE(store_->UpdateFinding(Scope::WholeFleet(), id, comment).has_value());
      EXPECT_EQ(queries_->GetFinding(Scope::WholeFleet(), id)->finding.state, c.left);
      FindingChange next = seen;
      next.resolve = what == 2;
      if (what == 1) next.severity = model::Severity::kHigh;
      ASSERT_TRUE(store_->RecordFindings(std::vector{next}).has_value());
      const auto details = queries_->GetFinding(Scope::WholeFleet(), id);
      ASSERT_TRUE(details.has_value());
      EXPECT_EQ(details->finding.state, what == 0   ? c.seen_again
                                        : what == 1 ? c.seen_graver
                                                    : c.passed)
          << static_cast<int>(c.left) << " " << what;
      EXPECT_EQ(details->finding.count, what == 2 ? 1U : 2U);
    }
  }
  // To be worked on is what is open or acknowledged.
  const auto to_do = queries_->ListFindings(Scope::WholeFleet(), false, {});
  EXPECT_EQ(to_do->total, 5U);
  EXPECT_EQ(queries_->ListFindings(Scope::WholeFleet(), true, {})->total, 9U);
  EXPECT_EQ(store_->UpdateFinding(Scope::WholeFleet(), 99, {}).error().code(),
            base::ErrorCode::kNotFound);
  EXPECT_EQ(queries_->GetFinding(Scope::WholeFleet(), 99).error().code(),
            base::ErrorCode::kNotFound);
}

TEST_P(StoreConformance, FindingsKeepWhatIsSaidOfThemUpToTheLimit) {
  FindingChange seen;
  seen.dedupe_key = seen.rule = "rule";
  seen.endpoint = Enrol(1);
  ASSERT_TRUE(store_->RecordFindings(std::vector{seen}).has_value());
  FindingComment comment{tests::kTestEpoch, {tests::TestId(9), "ada"}, std::nullopt, "<b>\n"};
  for (std::size_t i = 0; i < base::limits::kMaxFindingComments; ++i) {
    ASSERT_TRUE(store_->UpdateFinding(Scope::WholeFleet(), 1, comment).has_value());
  }
  comment.state = FindingState::kDismissed;
  const auto refused = store_->UpdateFinding(Scope::WholeFleet(), 1, comment);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kResourceExhausted);
  EXPECT_EQ(refused.error().message(),
            "a finding keeps at most 500 comments and states; from there on it takes only a new "
            "state without a comment");
  Reopen();
  const auto details = queries_->GetFinding(Scope::WholeFleet(), 1);
  ASSERT_TRUE(details.has_value());
  EXPECT_EQ(details->finding.state, FindingState::kOpen) << "nothing of it was stored";
  ASSERT_EQ(details->comments.size(), base::limits::kMaxFindingComments);
  EXPECT_EQ(details->comments[0].text, "<b>\n");
  EXPECT_EQ(details->comments[0].actor.name, "ada");
  EXPECT_EQ(details->comments[0].actor.token, tests::TestId(9));
  EXPECT_EQ(details->comments[0].state, std::nullopt);
}

TEST_P(StoreConformance, FindingsTakeAStateAlsoWhenTheyKeepNoMoreComments) {
  FindingChange seen;
  seen.dedupe_key = seen.rule = "rule";
  seen.endpoint = Enrol(1);
  ASSERT_TRUE(store_->RecordFindings(std::vector{seen}).has_value());
  FindingComment comment{tests::kTestEpoch, {tests::TestId(9), "ada"}, std::nullopt, "why"};
  for (std::size_t i = 0; i < base::limits::kMaxFindingComments; ++i) {
    ASSERT_TRUE(store_->UpdateFinding(Scope::WholeFleet(), 1, comment).has_value());
  }
  const auto before = queries_->ListChanges(Scope::WholeFleet(), {std::nullopt, {}, 10});
  ASSERT_TRUE(before.has_value());
  comment.text.clear();
  for (const FindingState state : {FindingState::kAcknowledged, FindingState::kDismissed}) {
    comment.state = state;
    ASSERT_TRUE(store_->UpdateFinding(Scope::WholeFleet(), 1, comment).has_value());
    const auto details = queries_->GetFinding(Scope::WholeFleet(), 1);
    ASSERT_TRUE(details.has_value());
    EXPECT_EQ(details->finding.state, state);
    EXPECT_EQ(details->comments.size(), base::limits::kMaxFindingComments);
  }
  EXPECT_EQ(queries_->ListFindings(Scope::WholeFleet(), false, {})->total, 0U) << "it is dismissed";
  const auto changes = queries_->ListChanges(Scope::WholeFleet(), {before->next, {}, 10});
  ASSERT_TRUE(changes.has_value());
  EXPECT_EQ(changes->rows.size(), 2U) << "whoever follows what changes is told";
}

TEST_P(StoreConformance, TellsEveryChangeOnceInOrder) {
  const auto start = queries_->ListChanges(Scope::WholeFleet(), {std::nullopt, {}, 10});
  ASSERT_TRUE(start.has_value());
  EXPECT_TRUE(start->rows.empty());
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  const auto batch = script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)},
                                  model::SightingAppeared{tests::TestSighting("/m/b", 2)}});
  CommitOne(endpoint, batch);
  CommitOne(endpoint, batch);  // again, which is no change
  FindingChange seen;
  seen.dedupe_key = seen.rule = "rule";
  seen.endpoint = endpoint;
  FindingChange passed = seen;
  passed.resolve = true;
  ASSERT_TRUE(store_->RecordFindings(std::vector{seen, passed, passed}).has_value());
  ASSERT_TRUE(
      store_->UpdateFinding(Scope::WholeFleet(), 1, {tests::kTestEpoch, {}, std::nullopt, "x"})
          .has_value());
  ASSERT_TRUE(store_->Publish(Bundle(7, 0, "part")).has_value());
  ExceptionSetRecord exceptions;
  exceptions.set = tests::MakeExceptionSet(1, {});
  exceptions.document = tests::SignExceptions(exceptions.set);
  ASSERT_TRUE(store_->PublishExceptions(Scope::WholeFleet(), exceptions).has_value());
  ASSERT_TRUE(store_->Revoke(Scope::WholeFleet(), endpoint, "lost", tests::kTestEpoch).has_value());
  Reopen();

  std::vector<Change> changes;
  std::uint64_t after = start->next;
  while (true) {
    const auto page = queries_->ListChanges(Scope::WholeFleet(), {after, {}, 2});
    ASSERT_TRUE(page.has_value()) << page.error().ToString();
    if (page->rows.empty()) break;
    changes.insert(changes.end(), page->rows.begin(), page->rows.end());
    after = page->next;
  }
  using Topic = ChangeTopic;
  const std::pair<Topic, std::uint64_t> expected[] = {
      {Topic::kEndpoint, 0}, {Topic::kEvents, 1},     {Topic::kEvents, 2},
      {Topic::kFinding, 1},  {Topic::kFinding, 1},    {Topic::kFinding, 1},
      {Topic::kPolicy, 7},   {Topic::kExceptions, 1}, {Topic::kEndpoint, 0}};
  ASSERT_EQ(changes.size(), std::size(expected));
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_EQ(changes[i].topic, expected[i].first) << i;
    EXPECT_EQ(changes[i].number, expected[i].second) << i;
    EXPECT_EQ(changes[i].position, start->next + i + 1);
    const bool of_fleet =
        changes[i].topic == Topic::kPolicy || changes[i].topic == Topic::kExceptions;
    EXPECT_EQ(changes[i].endpoint.has_value(), !of_fleet) << i;
  }
  EXPECT_EQ(changes[2].count, 2U);
  EXPECT_EQ(changes[2].chain, tests::TestId(0xc1));
  EXPECT_EQ(queries_->ListChanges(Scope::WholeFleet(), {after + 1, {}, 2}).error().code(),
            base::ErrorCode::kOutOfRange);
}

TEST_P(StoreConformance, FindsTheSameWeightsInEveryPacking) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  CommitOne(endpoint, script.Start());
  std::vector<model::EventBody> seen;
  for (int n = 0; n < 4; ++n) {
    model::Sighting sighting = tests::TestSighting("/m/" + std::to_string(n), n);
    if (n < 3) sighting.weights_digest = tests::TestDigest(n < 2 ? 50 : 51);
    seen.emplace_back(model::SightingAppeared{sighting});
  }
  CommitOne(endpoint, script.Seal(seen));
  SightingQuery where;
  where.weights = tests::TestDigest(50);
  const auto found = queries_->ListSightings(Scope::WholeFleet(), where);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->total, 2U);
  EXPECT_EQ(found->endpoints, 1U);
  EXPECT_EQ(found->weights_known, 0U) << "it was found";
  where.weights = tests::TestDigest(52);
  const auto nowhere = queries_->ListSightings(Scope::WholeFleet(), where);
  EXPECT_EQ(nowhere->total, 0U);
  EXPECT_EQ(nowhere->weights_known, 3U);
  EXPECT_EQ(queries_->ListSightings(Scope::Parse("site=x").value(), where)->weights_known, 0U);
  where.page.as_of = tests::kTestEpoch - std::chrono::seconds(1);
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->weights_known, 0U);
  where.page.as_of.reset();
  // They become known with a change, and unknown again.
  model::Sighting changed = tests::TestSighting("/m/3", 3);
  changed.weights_digest = tests::TestDigest(52);
  CommitOne(endpoint, script.Seal({model::SightingChanged{changed}}));
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->total, 1U);
  changed.weights_digest.reset();
  CommitOne(endpoint, script.Seal({model::SightingChanged{changed}}));
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->total, 0U);
  EXPECT_EQ(queries_->ListSightings(Scope::WholeFleet(), where)->weights_known, 3U)
      << "also where the digest was told of once";
}

TEST_P(StoreConformance, FindingsAreStoredWithTheirBatch) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  std::vector<bool> told;
  const FindingRules rules = [&told](const BatchWrite& write, const BatchOutcome& outcome,
                                     bool any_open) {
    told.push_back(any_open);
    FindingChange change;
    change.resolve = any_open;
    change.dedupe_key = std::string(BatchOutcomeName(outcome.kind));
    change.rule = change.dedupe_key;
    change.endpoint = write.endpoint;
    return std::vector{change};
  };
  Commit({Write(endpoint, script.Start())}, rules);
  EXPECT_EQ(queries_->ListFindings(Scope::WholeFleet(), false, {})->rows.at(0).rule, "stored");
  const auto judged = [&] {
    return Write(endpoint,
                 script.Seal({model::SightingJudged{
                     {"/m/a"}, std::nullopt, tests::TestVerdict(model::Outcome::kAllow)}}));
  };
  Commit({judged()}, rules);
  EXPECT_TRUE(queries_->ListFindings(Scope::WholeFleet(), false, {})->rows.empty());
  Commit({judged()}, rules);
  EXPECT_EQ(told, (std::vector<bool>{false, true, false})) << "whether any is open, before each";
}

TEST_P(StoreConformance, GivesAnEndpointTheLabelsOfItsTokenAndThenOthers) {
  const Labels first{{"site", "berlin"}, {"team", "ml"}};
  const model::Id endpoint = Enrol(1, first);
  Reopen();
  EXPECT_EQ(Endpoint(endpoint).labels, first);
  EXPECT_EQ(Endpoint(Enrol(2)).labels, Labels());
  const auto before = queries_->ListChanges(Scope::WholeFleet(), {std::nullopt, {}, 1})->next;
  for (const Labels& next : {Labels{{"site", "paris"}}, Labels()}) {
    ASSERT_TRUE(
        store_->SetLabels(Scope::WholeFleet(), endpoint, next, tests::kTestEpoch).has_value());
    EXPECT_EQ(queries_->GetEndpoint(Scope::WholeFleet(), endpoint, std::nullopt)->labels, next);
  }
  const auto changes = queries_->ListChanges(Scope::WholeFleet(), {before, {}, 9});
  ASSERT_EQ(changes->rows.size(), 2U);
  EXPECT_EQ(changes->rows[0].topic, ChangeTopic::kEndpoint);
  EXPECT_EQ(changes->rows[0].endpoint, endpoint);
  EXPECT_EQ(store_->SetLabels(Scope::WholeFleet(), tests::TestId(77), {}, tests::kTestEpoch)
                .error()
                .code(),
            base::ErrorCode::kNotFound);
  const auto again = store_->Enrol(Token(1, 1).secret_sha256, tests::kTestEpoch, Machine(1));
  EXPECT_EQ(*again, endpoint);
  EXPECT_EQ(Endpoint(endpoint).labels, Labels()) << "what enrols again gets none anew";
}

// An endpoint in the scope `site=berlin` and one outside, each with a finding and a model.
class ScopeConformance : public StoreConformance {
 protected:
  ScopeConformance() {
    for (const auto& [n, endpoint] : {std::pair(1, inside_), std::pair(2, outside_)}) {
      tests::EndpointScript script(tests::TestKey(10 + n),
                                   tests::TestId(static_cast<std::uint8_t>(0xc0 + n)));
      CommitOne(endpoint, script.Start());
      CommitOne(endpoint, script.Seal({model::SightingAppeared{tests::TestSighting("/m/a", 1)}}));
      model::Coverage coverage;
      coverage.sensor = "artifacts";
      coverage.root.bytes = "/m";
      coverage.state = model::CoverageState::kLooked;
      CommitOne(endpoint, script.Seal({model::CoverageChanged{coverage}}));
      FindingChange seen;
      seen.dedupe_key = std::to_string(n);
      seen.rule = "rule";
      seen.endpoint = endpoint;
      EXPECT_TRUE(store_->RecordFindings(std::vector{seen}).has_value());
    }
  }
  static ExceptionSetRecord Exceptions(const std::optional<model::Id>& endpoint) {
    ExceptionSetRecord record;
    record.set = tests::MakeExceptionSet(1, {});
    record.set.endpoint = endpoint;
    record.document = tests::SignExceptions(record.set);
    return record;
  }
  template <typename Result>
  static base::ErrorCode CodeOf(const Result& result) {
    return result.has_value() ? base::ErrorCode::kUnknown : result.error().code();
  }

  const Scope berlin_ = Scope::Parse("site=berlin").value();
  const model::Id outside_ = Enrol(2, {{"site", "berlin-2"}});  // the first change is its
  const model::Id inside_ = Enrol(1, {{"site", "berlin"}});
};

TEST_P(ScopeConformance, FindsNothingOfAnEndpointOutside) {
  constexpr auto kNotFound = base::ErrorCode::kNotFound;
  BatchQuery batches;
  batches.chain = tests::TestId(0xc2);
  batches.endpoint = outside_;
  SightingQuery sightings;
  sightings.endpoint = outside_;
  EXPECT_EQ(CodeOf(queries_->GetEndpoint(berlin_, outside_, std::nullopt)), kNotFound);
  EXPECT_EQ(CodeOf(queries_->ListSightings(berlin_, sightings)), kNotFound);
  EXPECT_EQ(CodeOf(queries_->ListEvents(berlin_, outside_, {})), kNotFound);
  EXPECT_EQ(CodeOf(queries_->CountVerdicts(berlin_, outside_, std::nullopt)), kNotFound);
  EXPECT_EQ(CodeOf(queries_->FindEvidence(berlin_, outside_, {})), kNotFound);
  EXPECT_EQ(CodeOf(queries_->ListBatches(berlin_, batches)), kNotFound);
  EXPECT_EQ(CodeOf(queries_->GetFinding(berlin_, 2)), kNotFound);
  EXPECT_EQ(queries_->GetEndpoint(berlin_, outside_, std::nullopt).error().message(),
            "there is no endpoint " + outside_.ToHex());

  batches.chain = tests::TestId(0xc1);
  batches.endpoint = sightings.endpoint.emplace(inside_);
  EXPECT_TRUE(queries_->GetEndpoint(berlin_, inside_, std::nullopt).has_value());
  EXPECT_EQ(queries_->ListSightings(berlin_, sightings)->total, 1U);
  EXPECT_EQ(queries_->ListEvents(berlin_, inside_, {})->total,
            queries_->ListEvents(Scope::WholeFleet(), inside_, {})->total);
  EXPECT_EQ(queries_->FindEvidence(berlin_, inside_, {})->chains.size(), 1U);
  EXPECT_EQ(queries_->ListBatches(berlin_, batches)->batches.size(), 3U);
  EXPECT_TRUE(queries_->GetFinding(berlin_, 1).has_value());
  std::vector<model::Id> visited;
  ASSERT_TRUE(queries_
                  ->VisitPresent(berlin_,
                                 [&](const PresentSighting& present) {
                                   visited.push_back(present.endpoint);
                                   return base::Status();
                                 })
                  .has_value());
  EXPECT_EQ(visited, std::vector{inside_});
}

TEST_P(ScopeConformance, SpeaksForItsEndpointsAlone) {
  SightingQuery then;
  then.page.as_of = tests::kTestEpoch + std::chrono::hours(1);
  for (const FleetCoverage& coverage :
       {queries_->Coverage(berlin_).value(), queries_->ListSightings(berlin_, {})->coverage,
        queries_->ListSightings(berlin_, then)->coverage}) {
    EXPECT_EQ(coverage.endpoints, 1U);
    EXPECT_EQ(coverage.looked, 1U);
  }
  EXPECT_EQ(queries_->Coverage(Scope::WholeFleet())->looked, 2U);
}

TEST_P(ScopeConformance, ChangesNothingOfAnEndpointOutside) {
  constexpr auto kNotFound = base::ErrorCode::kNotFound;
  const FindingComment comment{tests::kTestEpoch, {}, std::nullopt, "x"};
  const base::WallTime now = tests::kTestEpoch;
  EXPECT_EQ(CodeOf(store_->Revoke(berlin_, outside_, "lost", now)), kNotFound);
  EXPECT_EQ(CodeOf(store_->SetLabels(berlin_, outside_, {{"site", "berlin"}}, now)), kNotFound);
  EXPECT_EQ(CodeOf(store_->UpdateFinding(berlin_, 2, comment)), kNotFound);
  EXPECT_EQ(CodeOf(store_->PublishExceptions(berlin_, Exceptions(outside_))), kNotFound);
  EXPECT_EQ(CodeOf(store_->PublishExceptions(berlin_, Exceptions(std::nullopt))),
            base::ErrorCode::kPermissionDenied);
  EXPECT_EQ(queries_->GetEndpoint(Scope::WholeFleet(), outside_, std::nullopt)->state,
            EndpointState::kActive);
  EXPECT_TRUE(queries_->GetFinding(Scope::WholeFleet(), 2)->comments.empty());
  EXPECT_TRUE(queries_->ExceptionSets(Scope::WholeFleet())->empty());

  EXPECT_TRUE(store_->UpdateFinding(berlin_, 1, comment).has_value());
  EXPECT_TRUE(store_->PublishExceptions(berlin_, Exceptions(inside_)).has_value());
  EXPECT_TRUE(
      store_->SetLabels(berlin_, inside_, {{"site", "berlin"}, {"team", "ml"}}, now).has_value());
  EXPECT_EQ(CodeOf(store_->SetLabels(berlin_, inside_, {{"team", "ml"}}, now)),
            base::ErrorCode::kPermissionDenied)
      << "it would be gone from its own sight";
  EXPECT_TRUE(store_->Revoke(berlin_, inside_, "lost", now).has_value());
}

TEST_P(ScopeConformance, TellsItsChangesAndIsNotLeftBehindByOthers) {
  std::uint64_t after = 0;
  std::vector<ChangeTopic> topics;
  while (true) {
    const auto page = queries_->ListChanges(berlin_, {after, {}, 1});
    ASSERT_TRUE(page.has_value()) << page.error().ToString();
    after = page->next;
    if (page->rows.empty()) break;
    EXPECT_EQ(page->rows[0].endpoint, inside_);
    topics.push_back(page->rows[0].topic);
  }
  EXPECT_EQ(topics, (std::vector{ChangeTopic::kEndpoint, ChangeTopic::kEvents, ChangeTopic::kEvents,
                                 ChangeTopic::kEvents, ChangeTopic::kFinding}));
  EXPECT_EQ(after, queries_->ListChanges(Scope::WholeFleet(), {std::nullopt, {}, 1})->next);
  const FindingComment comment{tests::kTestEpoch, {}, std::nullopt, "x"};
  ASSERT_TRUE(store_->UpdateFinding(Scope::WholeFleet(), 2, comment).has_value());
  const auto page = queries_->ListChanges(berlin_, {after, {}, 10});
  EXPECT_TRUE(page->rows.empty());
  EXPECT_EQ(page->next, after + 1);
  ASSERT_TRUE(store_->Publish(Bundle(1, 0, "part")).has_value());
  EXPECT_EQ(queries_->ListChanges(berlin_, {after, {}, 10})->rows.at(0).topic,
            ChangeTopic::kPolicy);
}

TEST_P(ScopeConformance, FollowsTheLabelsThatEndpointsHaveNow) {
  const auto listed = [&] { return queries_->ListEndpoints(berlin_, {})->total; };
  EXPECT_EQ(listed(), 1U);
  const Labels berlin{{"site", "berlin"}};
  ASSERT_TRUE(
      store_->SetLabels(Scope::WholeFleet(), outside_, berlin, tests::kTestEpoch).has_value());
  EXPECT_EQ(listed(), 2U);
  EXPECT_EQ(queries_->ListSightings(berlin_, {})->total, 2U);
  ASSERT_TRUE(store_->SetLabels(Scope::WholeFleet(), inside_, {}, tests::kTestEpoch).has_value());
  EXPECT_EQ(listed(), 1U);
  EXPECT_EQ(queries_->ListEndpoints(Scope::WholeFleet(), {})->total, 2U)
      << "the scope of a question is not the next one's";
}

TEST_P(ScopeConformance, RevokesTokensThatAskForAsMuchAndLeavesAnAdminOfTheFleet) {
  const auto add = [&](std::uint8_t n, const Scope& scope) {
    AdminTokenRecord record;
    record.id = tests::TestId(n);
    record.secret_sha256 = tests::TestDigest(n);
    record.name = "somebody";
    record.role = AdminRole::kAdmin;
    record.scope = scope;
    ASSERT_TRUE(store_->AddAdminToken(record).has_value());
  };
  add(1, Scope::WholeFleet());
  add(2, berlin_);
  add(3, Scope::Parse("site=berlin,team=ml").value());
  add(4, Scope::Parse("team=ml").value());
  EXPECT_EQ(queries_->FindAdminToken(tests::TestDigest(3))->scope.ToText(), "site=berlin,team=ml");
  const auto revoke = [&](const Scope& scope, std::uint8_t n) {
    return CodeOf(store_->RevokeAdminToken(scope, tests::TestId(n), tests::kTestEpoch));
  };
  constexpr auto kDone = base::ErrorCode::kUnknown;
  EXPECT_EQ(revoke(berlin_, 1), base::ErrorCode::kNotFound);
  EXPECT_EQ(revoke(berlin_, 4), base::ErrorCode::kNotFound);
  EXPECT_EQ(revoke(berlin_, 3), kDone);
  EXPECT_EQ(revoke(Scope::WholeFleet(), 1), base::ErrorCode::kFailedPrecondition)
      << "the others can't make one that is for all endpoints";
  EXPECT_EQ(revoke(Scope::WholeFleet(), 2), kDone);
  EXPECT_EQ(revoke(Scope::WholeFleet(), 4), kDone);
}

TEST_P(StoreConformance, KeepsAdministratorsTokensUpToTheLimitAndTheLastAdmin) {
  const auto token = [](std::uint8_t n, AdminRole role) {
    AdminTokenRecord record;
    record.id = tests::TestId(n);
    record.secret_sha256 = tests::TestDigest(n);
    record.name = "somebody";
    record.role = role;
    record.created = tests::kTestEpoch;
    record.expires = tests::kTestEpoch + std::chrono::hours(n);
    return record;
  };
  AdminTokenRecord viewer = token(2, AdminRole::kViewer);
  viewer.created_by = tests::TestId(1);
  ASSERT_TRUE(store_->AddAdminToken(token(1, AdminRole::kAdmin)).has_value());
  ASSERT_TRUE(store_->AddAdminToken(viewer).has_value());
  EXPECT_FALSE(store_->AddAdminToken(viewer).has_value()) << "a secret is one token's";
  EXPECT_EQ(store_->RevokeAdminToken(Scope::WholeFleet(), tests::TestId(1), tests::kTestEpoch)
                .error()
                .code(),
            base::ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(store_->AddAdminToken(token(3, AdminRole::kAdmin)).has_value());
  const base::WallTime third_expired = tests::kTestEpoch + std::chrono::hours(3);
  EXPECT_FALSE(
      store_->RevokeAdminToken(Scope::WholeFleet(), tests::TestId(1), third_expired).has_value())
      << "what has expired is no help";
  ASSERT_TRUE(store_->RevokeAdminToken(Scope::WholeFleet(), tests::TestId(1), tests::kTestEpoch)
                  .has_value());
  EXPECT_TRUE(store_->RevokeAdminToken(Scope::WholeFleet(), tests::TestId(1), third_expired)
                  .error()
                  .code() == base::ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(
      store_->RevokeAdminToken(Scope::WholeFleet(), tests::TestId(2), third_expired).has_value())
      << "a viewer is not what is missed";
  Reopen();
  const auto found = queries_->FindAdminToken(tests::TestDigest(2));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->created_by, tests::TestId(1));
  EXPECT_EQ(found->revoked, third_expired);
  EXPECT_EQ(queries_->FindAdminToken(tests::TestDigest(1))->revoked, tests::kTestEpoch);
  EXPECT_EQ(queries_->ListAdminTokens(Scope::WholeFleet(), {})->total, 3U);
}

TEST_P(StoreConformance, ChainsTheAuditLog) {
  wire::AuditRow row;
  row.time = tests::kTestEpoch;
  row.token_id = tests::TestId(1);
  row.token_name = "ada";
  row.method = "RevokeEndpoint";
  row.number = 77;  // is not asked
  EXPECT_EQ(store_->AppendAudit(row).value(), 1U);
  row.outcome = wire::AuditOutcome::kFailed;
  row.begun_number = 1;
  row.code = 5;
  row.summary = "there is none";
  EXPECT_EQ(store_->AppendAudit(row).value(), 2U);
  Reopen();
  EXPECT_EQ(store_->AppendAudit(row).value(), 3U);
  PageQuery query;
  query.size = 2;
  auto page = queries_->ListAuditEntries(query);
  ASSERT_TRUE(page.has_value());
  ASSERT_EQ(page->rows.size(), 2U);
  EXPECT_EQ(page->total, 3U);
  EXPECT_EQ(page->rows[1].row.summary, "there is none");
  wire::AuditChain chain;
  for (const AuditEntry& entry : page->rows) {
    EXPECT_TRUE(chain.Add(entry.row, entry.digest).has_value()) << entry.row.number;
  }
  query.after = page->next;
  page = queries_->ListAuditEntries(query);
  ASSERT_EQ(page->rows.size(), 1U);
  EXPECT_TRUE(chain.Add(page->rows[0].row, page->rows[0].digest).has_value());
}

TEST_P(StoreConformance, PublishesUpwardsOnlyAndNeverWithAPartMissing) {
  ASSERT_TRUE(store_->Publish(Bundle(2, 1, "part two")).has_value());
  EXPECT_TRUE(store_->Publish(Bundle(2, 1, "part two")).has_value()) << "again is fine";
  EXPECT_FALSE(store_->Publish(Bundle(2, 1, "other")).has_value());
  EXPECT_FALSE(store_->Publish(Bundle(1, 1, "part one")).has_value());
  EXPECT_FALSE(store_->Publish(Bundle(3, 0, "part three")).has_value());
  NewBundle without = Bundle(3, 1, "part three");
  without.parts.clear();
  const auto missing = store_->Publish(without);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code(), base::ErrorCode::kFailedPrecondition);
  Reopen();
  const auto newest = queries_->FindBundle(Scope::WholeFleet(), 0);
  ASSERT_TRUE(newest.has_value());
  EXPECT_EQ(newest->version, 2U);
  EXPECT_EQ(newest->text, "policy: 2");
  EXPECT_FALSE(*queries_->HasPart(openssl::Sha256Of(base::AsBytes(std::string("part three")))));
  NewBundle later = Bundle(3, 2, "part two");
  later.parts.clear();
  EXPECT_TRUE(store_->Publish(later).has_value()) << "the part is there already";
  EXPECT_EQ(queries_->Fleet()->floor, 2U);
}

TEST_P(StoreConformance, KeepsTheExceptionsOfEachScopeOneAfterTheOther) {
  const model::Id endpoint = Enrol(1);
  const auto record = [](std::uint64_t version, std::optional<model::Id> scope,
                         const std::string& reason) {
    model::Exception exception;
    exception.overrides = "default";
    exception.reason = reason;
    exception.expires = tests::kTestEpoch + std::chrono::hours(1);
    ExceptionSetRecord made;
    made.set = tests::MakeExceptionSet(version, {exception});
    made.set.endpoint = scope;
    made.document = tests::SignExceptions(made.set);
    made.published = tests::kTestEpoch;
    return made;
  };
  EXPECT_EQ(queries_->FindExceptions(Scope::WholeFleet(), endpoint).error().code(),
            base::ErrorCode::kNotFound);
  EXPECT_TRUE(store_->PublishExceptions(Scope::WholeFleet(), record(1, endpoint, "a")).has_value());
  EXPECT_TRUE(
      store_->PublishExceptions(Scope::WholeFleet(), record(1, std::nullopt, "fleet")).has_value());
  const ExceptionSetRecord second = record(2, endpoint, "b");
  EXPECT_TRUE(store_->PublishExceptions(Scope::WholeFleet(), second).has_value());
  EXPECT_TRUE(store_->PublishExceptions(Scope::WholeFleet(), second).has_value())
      << "the same once more";
  for (const std::uint64_t version : {1U, 2U, 4U}) {
    EXPECT_EQ(store_->PublishExceptions(Scope::WholeFleet(), record(version, endpoint, "c"))
                  .error()
                  .code(),
              base::ErrorCode::kAborted)
        << version;
  }
  EXPECT_EQ(store_->PublishExceptions(Scope::WholeFleet(), record(1, tests::TestId(77), "d"))
                .error()
                .code(),
            base::ErrorCode::kNotFound);
  Reopen();
  const auto found = queries_->FindExceptions(Scope::WholeFleet(), endpoint);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->set, second.set);
  EXPECT_EQ(found->document.bytes, second.document.bytes);
  EXPECT_EQ(queries_->FindExceptions(Scope::WholeFleet(), std::nullopt)->set.exceptions[0].reason,
            "fleet");
  const auto sets = queries_->ExceptionSets(Scope::WholeFleet());
  ASSERT_EQ(sets->size(), 2U);
  for (const model::ExceptionSet& set : *sets) EXPECT_EQ(set.version, set.endpoint ? 2U : 1U);
}

TEST_P(StoreConformance, ListsExceptionsFromTheSetThatBringsThemToTheOneThatIsWithout) {
  using std::chrono::seconds;
  const model::Id endpoint = Enrol(1);
  const auto exception = [](std::uint8_t n, int until) {
    model::Exception made;
    made.id = tests::TestId(n);
    made.digest = tests::TestDigest(n);
    made.of_weights = n == 2;
    made.user = n == 2 ? "ada" : "";
    made.overrides = "rule-" + std::to_string(n);
    made.reason = "because";
    made.expires = tests::kTestEpoch + seconds(until);
    return made;
  };
  const auto publish = [&](std::uint64_t version, std::optional<model::Id> whose, int at,
                           const std::vector<model::Exception>& exceptions) {
    ExceptionSetRecord made;
    made.set = tests::MakeExceptionSet(version, exceptions);
    made.set.endpoint = whose;
    made.document = tests::SignExceptions(made.set);
    made.published = tests::kTestEpoch + seconds(at);
    made.publisher = Actor{tests::TestId(9), "grace"};
    ASSERT_TRUE(store_->PublishExceptions(Scope::WholeFleet(), made).has_value());
  };
  publish(1, endpoint, 10, {exception(1, 100), exception(2, 30)});
  publish(1, std::nullopt, 15, {exception(3, 100)});
  publish(2, endpoint, 20, {exception(1, 200), exception(2, 30)});  // one is longer now
  publish(3, endpoint, 40, {exception(1, 200)});
  Reopen();

  const auto listed = [&](ExceptionQuery query) {
    std::vector<std::string> rows;
    const auto page = queries_->ListExceptions(Scope::WholeFleet(), query);
    EXPECT_TRUE(page.has_value()) << page.error().ToString();
    for (const ExceptionRow& row : page->rows) {
      const auto at = [](base::WallTime time) {
        return std::to_string((time - tests::kTestEpoch) / seconds(1));
      };
      EXPECT_EQ(row.publisher->name, "grace");
      EXPECT_EQ(row.exception.of_weights, row.exception.id == tests::TestId(2));
      rows.push_back((row.endpoint ? "e " : "fleet ") + row.exception.overrides + " v" +
                     std::to_string(row.version) + " " + at(row.granted) + "-" +
                     (row.withdrawn ? at(*row.withdrawn) : "") + " until " +
                     at(row.exception.expires));
    }
    EXPECT_EQ(page->total, rows.size());
    return rows;
  };
  using Rows = std::vector<std::string>;
  const auto at = [](int then) { return tests::kTestEpoch + seconds(then); };
  ExceptionQuery query;
  query.now = at(50);
  EXPECT_EQ(listed(query), Rows({"fleet rule-3 v1 15- until 100", "e rule-1 v2 20- until 200"}));
  query.now = at(100);
  EXPECT_EQ(listed(query), Rows({"e rule-1 v2 20- until 200"})) << "the other has expired";
  query.include_ended = true;
  EXPECT_EQ(listed(query), Rows({"e rule-1 v1 10-20 until 100", "e rule-2 v1 10-40 until 30",
                                 "fleet rule-3 v1 15- until 100", "e rule-1 v2 20- until 200"}));
  query.page.as_of = at(19);
  EXPECT_EQ(listed(query), Rows({"e rule-1 v1 10- until 100", "e rule-2 v1 10- until 30",
                                 "fleet rule-3 v1 15- until 100"}));
  query.include_ended = false;
  query.page.as_of = at(30);
  EXPECT_EQ(listed(query), Rows({"fleet rule-3 v1 15- until 100", "e rule-1 v2 20- until 200"}));
  query.page.as_of.reset();
  query.now = at(50);
  query.page.filter = query::ParseFilter(query::Exceptions(), "NOT endpoint_id:*").value();
  EXPECT_EQ(listed(query), Rows({"fleet rule-3 v1 15- until 100"}));
}

TEST_P(StoreConformance, HandsOutAPartInPieces) {
  std::string part;
  for (int i = 0; part.size() < 600'000; ++i) part += std::to_string(i);
  ASSERT_TRUE(store_->Publish(Bundle(1, 0, part)).has_value());
  const model::Sha256 sha256 = openssl::Sha256Of(base::AsBytes(part));
  std::string read;
  while (read.size() < part.size()) {
    const auto piece = queries_->ReadPart(sha256, read.size());
    ASSERT_TRUE(piece.has_value());
    ASSERT_FALSE(piece->data.empty());
    EXPECT_EQ(piece->total_bytes, part.size());
    read += piece->data;
  }
  EXPECT_EQ(read, part);
  EXPECT_EQ(queries_->ReadPart(sha256, 300'001)->data, part.substr(300'001, 524'288 - 300'001));
  EXPECT_EQ(queries_->ReadPart(sha256, part.size() + 1).error().code(),
            base::ErrorCode::kOutOfRange);
  EXPECT_EQ(queries_->ReadPart(tests::TestDigest(0), 0).error().code(), base::ErrorCode::kNotFound);
}

TEST_P(StoreConformance, HandsOutBatchesAsTheyWereSealed) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  std::vector<wire::SealedBatch> sent = {script.Start()};
  for (int i = 0; i < 3; ++i) {
    sent.push_back(script.Seal({model::SightingAppeared{tests::TestSighting("/m", 2 * i)},
                                model::SightingAppeared{tests::TestSighting("/n", 2 * i + 1)}}));
  }
  sent[1].events.clear();
  sent[2].events[1] = {"", "", wire::LeafOf(sent[2].events[1])};
  for (const wire::SealedBatch& batch : sent) EXPECT_EQ(CommitOne(endpoint, batch), Kind::kStored);
  BatchQuery query;
  query.endpoint = endpoint;
  query.chain = tests::TestId(0xc1);
  const auto page = queries_->ListBatches(Scope::WholeFleet(), query);
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->next, std::nullopt);
  ASSERT_EQ(page->batches.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(page->batches[i].header, sent[i].header);
    EXPECT_EQ(page->batches[i].events.size(), sent[i].events.size());
    EXPECT_TRUE(wire::VerifyBatch(page->batches[i], tests::TestKey(11).public_key()).has_value());
  }
  EXPECT_EQ(page->batches[2].events[1].leaf, sent[2].events[1].leaf);
  query.range.first_number = 2;
  query.range.last_number = 3;
  EXPECT_EQ(queries_->ListBatches(Scope::WholeFleet(), query)->batches.size(), 2U);
  query.chain = tests::TestId(0xc2);
  EXPECT_TRUE(queries_->ListBatches(Scope::WholeFleet(), query)->batches.empty());
  query.chain = tests::TestId(0xc1);
  query.endpoint = Enrol(2);
  EXPECT_TRUE(queries_->ListBatches(Scope::WholeFleet(), query)->batches.empty())
      << "another endpoint's chain";
  query.endpoint = tests::TestId(77);
  EXPECT_EQ(queries_->ListBatches(Scope::WholeFleet(), query).error().code(),
            base::ErrorCode::kNotFound);
}

TEST_P(StoreConformance, HandsOutNoMoreBatchesAtATimeThanFitAnAnswer) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  EXPECT_EQ(CommitOne(endpoint, script.Start()), Kind::kStored);
  const std::vector<std::string> bodies(16, std::string(base::limits::kMaxEventBytes, 'x'));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(CommitOne(endpoint, script.SealBodies(model::PriorityClass::kInventory, bodies)),
              Kind::kStored);
  }
  BatchQuery query;
  query.endpoint = endpoint;
  query.chain = tests::TestId(0xc1);
  std::vector<std::size_t> pages;
  do {
    const auto page = queries_->ListBatches(Scope::WholeFleet(), query);
    ASSERT_TRUE(page.has_value());
    pages.push_back(page->batches.size());
    query.from = page->next.value_or(0);
  } while (query.from != 0);
  EXPECT_EQ(pages, (std::vector<std::size_t>{2, 1, 1})) << "1 MiB and some bytes each";
}

TEST_P(StoreConformance, KnowsWhatAnEndpointsEvidenceHasToHold) {
  const model::Id endpoint = Enrol(1);
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  model::PolicyApplied applied;
  applied.version = 7;
  applied.manifest = tests::TestDigest(7);
  std::vector<wire::SealedBatch> sent = {script.Start(), script.Seal({applied})};
  const auto fork = script.position();
  sent.push_back(script.Seal({model::SightingAppeared{tests::TestSighting("/m", 1)},
                              model::SightingAppeared{tests::TestSighting("/n", 2)}}));
  sent[2].events[0] = {"", "", wire::LeafOf(sent[2].events[0])};
  for (std::size_t i = 0; i < sent.size(); ++i) {
    BatchWrite write = Write(endpoint, sent[i]);
    write.received = tests::kTestEpoch + std::chrono::hours(i);
    EXPECT_EQ(Commit({write}).at(0).kind, Kind::kStored);
  }
  script.position() = fork;
  const wire::SealedBatch twin =
      script.Seal({model::SightingAppeared{tests::TestSighting("/other", 9)}});
  EXPECT_EQ(CommitOne(endpoint, twin), Kind::kEquivocation);
  Enrol(2);

  const auto evidence = queries_->FindEvidence(Scope::WholeFleet(), endpoint, {});
  ASSERT_TRUE(evidence.has_value()) << evidence.error().ToString();
  EXPECT_EQ(evidence->hostname, "host1");
  ASSERT_EQ(evidence->keys.size(), 1U);
  EXPECT_EQ(evidence->keys[0].key.id(), tests::TestKey(11).public_key().id());
  EXPECT_EQ(evidence->keys[0].last_number, std::nullopt);
  ASSERT_EQ(evidence->chains.size(), 1U);
  EXPECT_EQ(evidence->chains[0].chain, tests::TestId(0xc1));
  EXPECT_EQ(evidence->chains[0].last_number, 3U);
  EXPECT_EQ(evidence->chains[0].bodies, 3U) << "four events, one without its body";
  EXPECT_EQ(evidence->last_digests.at(0), wire::HeaderDigest(sent[2].header));
  EXPECT_EQ(evidence->policies,
            (std::vector<wire::EvidenceAppliedPolicy>{{7, tests::TestDigest(7)}}));
  ASSERT_EQ(evidence->quarantined.size(), 1U);
  EXPECT_EQ(evidence->quarantined[0].header_digest, wire::HeaderDigest(twin.header));
  EXPECT_EQ(evidence->quarantined[0].reason, QuarantineReason::kEquivocation);
  BatchQuery beside;
  beside.endpoint = endpoint;
  EXPECT_EQ(queries_->ListBatches(Scope::WholeFleet(), beside)->batches.at(0).header, twin.header);

  BatchRange range;
  range.from = tests::kTestEpoch + std::chrono::minutes(1);
  range.until = tests::kTestEpoch + std::chrono::minutes(61);
  const auto hour = queries_->FindEvidence(Scope::WholeFleet(), endpoint, range);
  ASSERT_EQ(hour->chains.size(), 1U);
  EXPECT_EQ(hour->chains[0].first_number, 2U);
  EXPECT_EQ(hour->chains[0].last_number, 2U);
  EXPECT_EQ(hour->chains[0].head_number, 3U);
  EXPECT_EQ(hour->last_digests.at(0), wire::HeaderDigest(sent[1].header));
  EXPECT_TRUE(hour->quarantined.empty());
  range.first_number = 9;
  EXPECT_TRUE(queries_->FindEvidence(Scope::WholeFleet(), endpoint, range)->chains.empty());
  EXPECT_EQ(queries_->FindEvidence(Scope::WholeFleet(), tests::TestId(77), {}).error().code(),
            base::ErrorCode::kNotFound);
}

TEST_P(StoreConformance, ContactsUpdateWhoIsThereAndPassOverWhoIsNot) {
  const model::Id endpoint = Enrol(1);
  Contact contact;
  contact.endpoint = endpoint;
  contact.at = tests::kTestEpoch + std::chrono::hours(3);
  contact.machine.hostname = "renamed";
  Contact stranger = contact;
  stranger.endpoint = tests::TestId(88);
  ASSERT_TRUE(store_->RecordContacts(std::vector{stranger, contact}).has_value());
  EXPECT_EQ(Endpoint(endpoint).last_contact, contact.at);
  EXPECT_EQ(Endpoint(endpoint).machine.hostname, "renamed");
}

TEST_P(StoreConformance, EveryStepSurvivesAKillRightAfterIt) {
  const model::Id endpoint = Enrol(1);
  Reopen();
  tests::EndpointScript script(tests::TestKey(11), tests::TestId(0xc1));
  std::vector<wire::SealedBatch> sent = {script.Start()};
  for (int i = 0; i < 8; ++i) {
    const std::string path = "/m/" + std::to_string(i);
    sent.push_back(script.Seal({model::SightingAppeared{tests::TestSighting(path, i)}}));
  }
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(CommitOne(endpoint, sent[i]), Kind::kStored);
    Reopen();
    const auto head = queries_->FindChain(endpoint, tests::TestId(0xc1));
    ASSERT_TRUE(head.has_value());
    EXPECT_EQ(head->number, i + 1);
    EXPECT_EQ(head->digest, wire::HeaderDigest(sent[i].header));
    for (std::size_t j = 0; j <= i; ++j) {
      EXPECT_EQ(CommitOne(endpoint, sent[j]), Kind::kRepeated);
    }
    EXPECT_EQ(Sightings().size(), i);
  }
}

}  // namespace weighmaster::server::store
