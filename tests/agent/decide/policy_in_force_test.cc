#include "agent/decide/policy_in_force.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "policy/base/limits.h"
#include "tests/agent/policies.h"
#include "tests/agent/rooms.h"
#include "tests/agent/sightings.h"

namespace weighmaster::agent::decide {
namespace {

using model::PolicyRefusal;
using tests::MakePolicy;
using tests::OfferedPolicy;
using tests::PolicyText;

class PolicyInForceTest : public testing::Test {
 protected:
  PolicyInForceTest() {
    EXPECT_TRUE(policy().InstallRoot(tests::MakeTestFleet().signed_root).has_value());
    const sensors::Observation seen[] = {tests::Seen("/m/good", "good"),
                                         tests::Seen("/m/bad", "bad")};
    EXPECT_TRUE(rooms_.inventory->Apply(seen).has_value());
  }

  PolicyInForce& policy() { return *rooms_.policy; }
  void Restart() {
    rooms_.Kill();
    rooms_.Open();
  }
  OfferNeeds Consider(const OfferedPolicy& offered) {
    const auto considered = policy().Consider(offered.bundle);
    EXPECT_TRUE(considered.has_value());
    return considered->needs;
  }
  void PutParts(const OfferedPolicy& offered) {
    for (const auto& [sha256, bytes] : offered.parts) {
      EXPECT_TRUE(rooms_.vault->Put(bytes).has_value());
    }
  }
  void Apply(const OfferedPolicy& offered) {
    PutParts(offered);
    bool done = false;
    ASSERT_TRUE(policy().Apply(offered.bundle, [&] { done = true; }).has_value());
    ASSERT_TRUE(rooms_.loop.RunUntil([&] { return done; }, std::chrono::seconds(10)));
  }
  model::Outcome Outcome(const std::string& path) {
    return rooms_.inventory->Find({path})->value().verdict.outcome;
  }

  tests::AgentRooms rooms_;
};

TEST_F(PolicyInForceTest, BringsABundleIntoForceAndTellsOfIt) {
  const OfferedPolicy offered = MakePolicy({.version = 3, .denied_contents = {"bad"}});
  EXPECT_EQ(Consider(offered), OfferNeeds::kParts);
  PutParts(offered);
  EXPECT_EQ(Consider(offered), OfferNeeds::kApply);
  Apply(offered);
  EXPECT_EQ(Consider(offered), OfferNeeds::kNothing);
  EXPECT_EQ(policy().version(), 3);
  EXPECT_EQ(Outcome("/m/bad"), model::Outcome::kDeny);
  const auto applied = rooms_.ToldOf<model::PolicyApplied>();
  ASSERT_EQ(applied.size(), 1);
  EXPECT_EQ(applied[0].manifest, offered.digest());
  EXPECT_EQ(applied[0].judged, 2);
  EXPECT_EQ(applied[0].deny, 1);
  EXPECT_EQ(applied[0].allow, 1);
  EXPECT_FALSE(applied[0].partly);
}

TEST_F(PolicyInForceTest, HasTheSamePolicyAfterARestartAndTellsNothingTwice) {
  Apply(MakePolicy({.version = 3, .denied_contents = {"bad"}}));
  Restart();
  rooms_.loop.RunFor(std::chrono::seconds(10));
  EXPECT_EQ(policy().version(), 3);
  EXPECT_EQ(Outcome("/m/bad"), model::Outcome::kDeny);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyApplied>().size(), 1);
}

TEST_F(PolicyInForceTest, TakesUpAnApplyThatWasCutOff) {
  const OfferedPolicy offered = MakePolicy({.version = 3, .denied_contents = {"bad"}});
  PutParts(offered);
  ASSERT_TRUE(policy().Apply(offered.bundle, [] {}).has_value());
  Restart();  // before anything was judged
  rooms_.loop.RunFor(std::chrono::seconds(10));
  EXPECT_EQ(rooms_.inventory->Count()->deny, 1);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyApplied>().size(), 1);
}

TEST_F(PolicyInForceTest, TellsARefusedBundleOnce) {
  OfferedPolicy offered = MakePolicy({.version = 3});
  offered.bundle.signatures[0].signature[5] ^= 1;
  EXPECT_EQ(Consider(offered), OfferNeeds::kRefused);
  EXPECT_EQ(Consider(offered), OfferNeeds::kRefused);
  Restart();
  EXPECT_EQ(Consider(offered), OfferNeeds::kRefused);
  const auto refused = rooms_.ToldOf<model::PolicyRefused>();
  ASSERT_EQ(refused.size(), 1);
  EXPECT_EQ(refused[0].refusal, PolicyRefusal::kBadSignature);
  EXPECT_EQ(refused[0].version, 3);
  EXPECT_EQ(policy().version(), 0);
}

TEST_F(PolicyInForceTest, BoundsWhatAServerCanMakeItTell) {
  for (std::uint64_t version = 1; version <= 100; ++version) {
    OfferedPolicy offered = MakePolicy({.version = version});
    offered.bundle.signatures.clear();
    EXPECT_EQ(Consider(offered), OfferNeeds::kRefused);
  }
  EXPECT_EQ(rooms_.ToldOf<model::PolicyRefused>().size(), base::limits::kMaxRefusalsToldPerHour);
}

TEST_F(PolicyInForceTest, RefusesAnotherFleetAndAnotherLine) {
  OfferedPolicy offered = MakePolicy({.version = 3});
  offered.manifest.line = "other";
  offered.bundle = tests::SignBundle(offered.manifest);
  EXPECT_EQ(Consider(offered), OfferNeeds::kRefused);
  offered = MakePolicy({.version = 3});
  offered.manifest.fleet_id = std::string(32, 'a');
  offered.bundle = tests::SignBundle(offered.manifest);
  EXPECT_EQ(Consider(offered), OfferNeeds::kRefused);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyRefused>().size(), 2);
}

TEST_F(PolicyInForceTest, GoesBackToTheFloorAndNoFurther) {
  Apply(MakePolicy({.version = 5, .floor = 4}));
  EXPECT_EQ(Consider(MakePolicy({.version = 3})), OfferNeeds::kRefused);
  Apply(MakePolicy({.version = 4, .denied_contents = {"good"}}));
  EXPECT_EQ(policy().version(), 4);
  Restart();
  EXPECT_EQ(policy().version(), 4);
  EXPECT_EQ(Consider(MakePolicy({.version = 3})), OfferNeeds::kRefused) << "also after a restart";
  EXPECT_EQ(rooms_.ToldOf<model::PolicyRefused>().at(0).refusal, PolicyRefusal::kBelowFloor);
}

TEST_F(PolicyInForceTest, KeepsItsOldRulesWhereItCannotReadTheNew) {
  Apply(MakePolicy({.version = 1, .default_outcome = model::Outcome::kWarn}));
  Apply(MakePolicy({.version = 2,
                    .denied_contents = {"bad"},
                    .default_outcome = model::Outcome::kAllow,
                    .rules_features = {"rules.v1", "rules.v9"}}));
  EXPECT_EQ(policy().version(), 2);
  EXPECT_EQ(Outcome("/m/bad"), model::Outcome::kDeny) << "the lists are applied";
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kWarn) << "by the old rules";
  EXPECT_TRUE(rooms_.ToldOf<model::PolicyApplied>().at(1).partly);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyApplied>().at(1).missing_features, "rules.v9");
  Restart();
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kWarn);
}

TEST_F(PolicyInForceTest, RefusesPartsThatDoNotParse) {
  Apply(MakePolicy({.version = 1, .denied_contents = {"bad"}}));
  OfferedPolicy offered = MakePolicy({.version = 2});
  const std::string garbage = "these are no lists";
  offered.manifest.parts[0] = tests::PartOf(wire::PartKind::kLists, garbage, {"lists.v1"});
  offered.parts[offered.manifest.parts[0].sha256] = garbage;
  offered.bundle = tests::SignBundle(offered.manifest);
  Apply(offered);
  EXPECT_EQ(policy().version(), 1);
  EXPECT_EQ(Outcome("/m/bad"), model::Outcome::kDeny);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyRefused>().at(0).refusal, PolicyRefusal::kMalformed);
}

TEST_F(PolicyInForceTest, StaysInForceWhenExpiredAndSaysSo) {
  const OfferedPolicy offered = MakePolicy({.version = 1, .denied_contents = {"bad"}});
  Apply(offered);
  EXPECT_FALSE(policy().stale());
  policy().NoteVerifiedTime(offered.manifest.expires + std::chrono::hours(1));
  EXPECT_TRUE(policy().stale());
  rooms_.loop.StepWallClock(-std::chrono::hours(24 * 10000));
  Restart();
  EXPECT_TRUE(policy().stale()) << "turning the clock back extends nothing";
  EXPECT_EQ(Outcome("/m/bad"), model::Outcome::kDeny);
}

// With a rule that denies everything for one more hour.
class PolicyExpiryTest : public PolicyInForceTest {
 protected:
  PolicyExpiryTest() {
    rule_.id = "for-now";
    rule_.outcome = model::Outcome::kDeny;
    rule_.expires = rooms_.loop.Now() + std::chrono::hours(1);
    Apply(MakePolicy({.version = 1, .rules = {rule_}}));
    EXPECT_EQ(Stored(), model::Outcome::kDeny);
    EXPECT_EQ(rooms_.inventory->Find({"/m/good"})->value().verdict.until, rule_.expires);
  }
  // What was told last of /m/good.
  model::Outcome Stored() {
    model::Outcome told = model::Outcome::kAllow;
    for (const auto& judged : rooms_.ToldOf<model::SightingJudged>()) {
      if (judged.path.bytes == "/m/good") told = judged.verdict.outcome;
    }
    return told;
  }

  model::Rule rule_;
};

TEST_F(PolicyExpiryTest, JudgesAgainWhenARuleExpiresAndTellsTheVerdictsAlone) {
  rooms_.loop.RunFor(std::chrono::minutes(59));
  EXPECT_EQ(Stored(), model::Outcome::kDeny);
  rooms_.loop.RunFor(std::chrono::minutes(1));
  EXPECT_EQ(Stored(), model::Outcome::kAllow);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyApplied>().size(), 1);
  const std::size_t told = rooms_.ToldOf<model::SightingJudged>().size();
  rooms_.loop.RunFor(std::chrono::hours(24));
  EXPECT_EQ(rooms_.ToldOf<model::SightingJudged>().size(), told) << "and not once more";
}

TEST_F(PolicyExpiryTest, AClockThatIsSetBackProlongsNothing) {
  rooms_.loop.RunFor(std::chrono::minutes(10));
  policy().NoteVerifiedTime(rooms_.loop.Now());
  rooms_.loop.StepWallClock(-std::chrono::hours(24));
  rooms_.loop.RunFor(std::chrono::minutes(51));
  EXPECT_EQ(Stored(), model::Outcome::kAllow);
}

TEST_F(PolicyExpiryTest, AClockThatIsSetForwardIsNoticedWithinAMinute) {
  rooms_.loop.StepWallClock(std::chrono::hours(2));
  rooms_.loop.RunFor(base::limits::kExpiryCheckInterval);
  EXPECT_EQ(Stored(), model::Outcome::kAllow);
}

TEST_F(PolicyExpiryTest, WhatExpiredWhileNoAgentRanIsJudgedAtItsStart) {
  rooms_.Kill();
  rooms_.loop.RunFor(std::chrono::hours(2));
  rooms_.Open();
  policy().Resume();
  rooms_.loop.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(Stored(), model::Outcome::kAllow);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyApplied>().size(), 1);
}

TEST_F(PolicyExpiryTest, APolicyThatComesMeanwhileIsJudgedByItsOwnExpiries) {
  rule_.expires = rooms_.loop.Now() + std::chrono::hours(3);
  Apply(MakePolicy({.version = 2, .rules = {rule_}}));
  rooms_.loop.RunFor(std::chrono::hours(2));
  EXPECT_EQ(Stored(), model::Outcome::kDeny);
  rooms_.loop.RunFor(std::chrono::hours(1));
  EXPECT_EQ(Stored(), model::Outcome::kAllow);
}

// With a policy that denies everything, and exceptions from it for /m/good.
class PolicyExceptionsTest : public PolicyInForceTest {
 protected:
  PolicyExceptionsTest() {
    Apply(MakePolicy({.version = 1, .default_outcome = model::Outcome::kDeny}));
    exception_.id.bytes.fill(7);
    exception_.digest = openssl::Sha256Of(base::AsBytes("good"));
    exception_.overrides = "default";
    exception_.reason = "For the audit of this week.";
    exception_.expires = rooms_.loop.Now() + std::chrono::hours(1);
  }

  wire::SignedDocument Set(std::uint64_t version, std::optional<model::Id> endpoint = {}) {
    model::ExceptionSet set = tests::MakeExceptionSet(version, {exception_});
    set.endpoint = endpoint;
    set.issued = rooms_.loop.Now();
    return tests::SignExceptions(set);
  }
  void Consider(const wire::SignedDocument& document) {
    ASSERT_TRUE(policy().ConsiderExceptions(document, kEndpoint).has_value());
    rooms_.loop.RunFor(std::chrono::seconds(1));
  }
  model::JudgementStep Told() {
    model::JudgementStep step = model::JudgementStep::kDefault;
    for (const auto& judged : rooms_.ToldOf<model::SightingJudged>()) {
      if (judged.path.bytes == "/m/good") step = judged.verdict.step;
    }
    return step;
  }
  model::PolicyRefusal LastRefusal() {
    const auto told = rooms_.ToldOf<model::PolicyRefused>();
    return told.empty() ? model::PolicyRefusal::kNone : told.back().refusal;
  }

  static constexpr model::Id kEndpoint{{9}};
  model::Exception exception_;
};

TEST_F(PolicyExceptionsTest, AreInForceAtOnceAndEndWithNobodyThere) {
  Consider(Set(1, kEndpoint));
  EXPECT_EQ(Told(), model::JudgementStep::kException);
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kAllow);
  EXPECT_EQ(Outcome("/m/bad"), model::Outcome::kDeny);
  EXPECT_EQ(policy().exceptions().endpoint_version(), 1);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyApplied>().size(), 1) << "the policy is the same";
  rooms_.loop.RunFor(std::chrono::hours(1));
  EXPECT_EQ(Told(), model::JudgementStep::kDefault);
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kDeny);
}

TEST_F(PolicyExceptionsTest, AreThereAfterARestartAndWithTheNextPolicy) {
  Consider(Set(1));
  Restart();
  policy().Resume();
  EXPECT_EQ(policy().exceptions().fleet_version(), 1);
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kAllow);
  Apply(MakePolicy({.version = 2, .default_outcome = model::Outcome::kDeny}));
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kAllow);
}

TEST_F(PolicyExceptionsTest, ThatNothingWasJudgedByBeforeAKillAreJudgedByAtTheNextStart) {
  {
    const auto busy =
        sqlite::Transaction::Begin(*rooms_.database);  // so that nothing is judged yet
    ASSERT_TRUE(policy().ConsiderExceptions(Set(1), kEndpoint).has_value());
    ASSERT_TRUE(policy().applying());
  }
  EXPECT_EQ(Told(), model::JudgementStep::kDefault);
  Restart();
  rooms_.loop.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(Told(), model::JudgementStep::kException);
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kAllow);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyApplied>().size(), 1) << "the policy is the same";
}

TEST_F(PolicyExceptionsTest, AnOlderSetChangesNothing) {
  Consider(Set(2));
  exception_.overrides = "nothing";
  Consider(Set(1));
  Consider(Set(2));
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kAllow);
  EXPECT_EQ(LastRefusal(), model::PolicyRefusal::kNone);
  Consider(Set(3));
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kDeny) << "taken back";
}

TEST_F(PolicyExceptionsTest, OfFleetAndEndpointHoldBeside) {
  Consider(Set(5));
  exception_.digest = openssl::Sha256Of(base::AsBytes("bad"));
  Consider(Set(1, kEndpoint));
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kAllow);
  EXPECT_EQ(Outcome("/m/bad"), model::Outcome::kAllow);
}

TEST_F(PolicyExceptionsTest, OfAnotherEndpointOrAnotherSignerAreRefusedAndTold) {
  Consider(Set(1, model::Id{{8}}));
  EXPECT_EQ(LastRefusal(), model::PolicyRefusal::kWrongLine);
  wire::SignedDocument forged = Set(1, kEndpoint);
  forged.signatures.clear();
  ASSERT_TRUE(wire::Sign(forged, wire::kDomainExceptions, tests::PolicyKey()).has_value());
  Consider(forged);
  EXPECT_EQ(LastRefusal(), model::PolicyRefusal::kBadSignature);
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kDeny);
}

TEST_F(PolicyExceptionsTest, GoWithTheKeyThatARootTakesAway) {
  Consider(Set(1));
  ASSERT_TRUE(policy().ConsiderRoot(tests::SignRoot(tests::MakeRoot({1}, 1, 2), {1})).has_value());
  rooms_.loop.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kDeny);
  EXPECT_EQ(Told(), model::JudgementStep::kDefault);
}

TEST_F(PolicyExceptionsTest, ThatComeWhileAPolicyIsAppliedHoldAfterIt) {
  const OfferedPolicy next = MakePolicy({.version = 2, .default_outcome = model::Outcome::kDeny});
  PutParts(next);
  bool done = false;
  {
    const auto busy =
        sqlite::Transaction::Begin(*rooms_.database);  // so that nothing is judged yet
    ASSERT_TRUE(policy().Apply(next.bundle, [&] { done = true; }).has_value());
    ASSERT_TRUE(policy().applying());
    ASSERT_TRUE(policy().ConsiderExceptions(Set(1), kEndpoint).has_value());
  }
  ASSERT_TRUE(rooms_.loop.RunUntil([&] { return done; }, std::chrono::minutes(5)));
  rooms_.loop.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(Outcome("/m/good"), model::Outcome::kAllow);
  EXPECT_EQ(Told(), model::JudgementStep::kException);
}

// With a policy that withholds owners.
class PolicySettingsTest : public PolicyInForceTest {
 protected:
  static OfferedPolicy Withholding(std::uint64_t version, model::WithheldFields withheld) {
    return MakePolicy(
        {.version = version, .settings = {.scan = {}, .withheld = std::move(withheld)}});
  }
  // The owner of /m/good as the server knows it.
  std::string ToldOwner() {
    std::string owner;
    for (const model::Event& event : rooms_.Told()) {
      const auto* appeared = std::get_if<model::SightingAppeared>(&event.body);
      const auto* changed = std::get_if<model::SightingChanged>(&event.body);
      const model::Sighting* const sighting = appeared != nullptr  ? &appeared->sighting
                                              : changed != nullptr ? &changed->sighting
                                                                   : nullptr;
      if (sighting != nullptr && sighting->path.bytes == "/m/good") owner = sighting->owner.name;
    }
    return owner;
  }
  std::size_t ChangesTold() { return rooms_.ToldOf<model::SightingChanged>().size(); }
};

TEST_F(PolicySettingsTest, AreHandedOnWithEachPolicyThatComesIntoForce) {
  std::vector<model::Settings> handed_on;
  policy().set_on_settings([&] { handed_on.push_back(policy().settings()); });
  const model::Settings settings{.scan = {.cpu_percent = 7}, .withheld = {}};
  Apply(MakePolicy({.version = 1, .settings = settings}));
  Apply(MakePolicy({.version = 2}));
  EXPECT_EQ(handed_on, (std::vector<model::Settings>{settings, {}}));
  Restart();
  EXPECT_EQ(policy().settings(), model::Settings{});
}

TEST_F(PolicySettingsTest, WhatIsWithheldIsToldAgainWithoutItAndLaterWithIt) {
  EXPECT_EQ(ToldOwner(), "someone");
  Apply(Withholding(1, {model::Withheld::kOwner}));
  EXPECT_EQ(ToldOwner(), "");
  EXPECT_EQ(ChangesTold(), 2);
  EXPECT_EQ(rooms_.inventory->Find({"/m/good"})->value().sighting.owner.name, "someone");
  Apply(Withholding(2, {model::Withheld::kOwner}));
  EXPECT_EQ(ChangesTold(), 2) << "nothing is different";
  Apply(Withholding(3, {}));
  EXPECT_EQ(ToldOwner(), "someone");
  EXPECT_EQ(ChangesTold(), 4);
}

TEST_F(PolicySettingsTest, WhatAKillKeptFromBeingToldAgainIsToldAtTheNextStart) {
  const OfferedPolicy offered = Withholding(1, {model::Withheld::kOwner});
  PutParts(offered);
  {
    const auto busy = sqlite::Transaction::Begin(*rooms_.database);  // so that nothing is told yet
    ASSERT_TRUE(policy().Apply(offered.bundle, [] {}).has_value());
    ASSERT_TRUE(policy().applying());
  }
  EXPECT_EQ(ToldOwner(), "someone");
  Restart();
  rooms_.loop.RunFor(std::chrono::seconds(10));
  EXPECT_EQ(ToldOwner(), "");
  EXPECT_EQ(ChangesTold(), 2);
}

TEST_F(PolicySettingsTest, WhatIsWithheldStaysSoWhileTheRulesCannotBeRead) {
  const OfferedPolicy offered = Withholding(1, {model::Withheld::kOwner});
  Apply(offered);
  std::filesystem::resize_file(
      rooms_.folder / ("policy/" + offered.manifest.parts[1].sha256.ToHex()), 3);
  Restart();
  ASSERT_EQ(policy().version(), 0);
  const sensors::Observation seen[] = {tests::Seen("/m/new", "new")};
  ASSERT_TRUE(rooms_.inventory->Apply(seen).has_value());
  EXPECT_EQ(rooms_.ToldOf<model::SightingAppeared>().back().sighting.owner, model::User{});
  EXPECT_EQ(policy().settings().withheld, model::WithheldFields{model::Withheld::kOwner});
}

TEST_F(PolicySettingsTest, OutOfTheirBoundsAreRefusedWithTheirPolicy) {
  Apply(MakePolicy({.version = 1, .settings = {.scan = {.cpu_percent = 101}, .withheld = {}}}));
  EXPECT_EQ(policy().version(), 0);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyRefused>().at(0).refusal, PolicyRefusal::kMalformed);
}

TEST_F(PolicyInForceTest, FollowsARootThatTheOldKeysSign) {
  const wire::Root next = tests::MakeRoot({4}, 1, 2);
  ASSERT_TRUE(policy().ConsiderRoot(tests::SignRoot(next, {4})).has_value());
  EXPECT_EQ(policy().root()->version, 1);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyRefused>().at(0).refusal, PolicyRefusal::kBadRoot);
  ASSERT_TRUE(policy().ConsiderRoot(tests::SignRoot(next, {1, 4})).has_value());
  EXPECT_EQ(policy().root()->version, 2);
  Restart();
  EXPECT_EQ(policy().root()->version, 2);
}

TEST_F(PolicyInForceTest, DoesNotChangeFleets) {
  wire::Root other = tests::MakeRoot({1}, 1);
  other.fleet_id = std::string(32, 'b');
  EXPECT_EQ(policy().InstallRoot(tests::SignRoot(other, {1})).error().code(),
            base::ErrorCode::kFailedPrecondition);
}

TEST_F(PolicyInForceTest, IsWithoutPolicyUntilADamagedOneIsFetchedAgain) {
  const OfferedPolicy offered = MakePolicy({.version = 3, .denied_contents = {"bad"}});
  Apply(offered);
  const std::string lists = offered.manifest.parts[0].sha256.ToHex();
  std::filesystem::resize_file(rooms_.folder / ("policy/" + lists), 3);
  Restart();
  EXPECT_EQ(policy().version(), 0);
  EXPECT_NE(policy().last_error(), "");
  EXPECT_EQ(Consider(offered), OfferNeeds::kParts);
  Apply(offered);
  EXPECT_EQ(policy().version(), 3);
  EXPECT_EQ(Outcome("/m/bad"), model::Outcome::kDeny);
}

}  // namespace
}  // namespace weighmaster::agent::decide
