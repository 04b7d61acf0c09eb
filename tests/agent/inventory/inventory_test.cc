#include "agent/inventory/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/agent/rooms.h"
#include "tests/agent/sightings.h"

namespace weighmaster::agent::inventory {
namespace {

using sensors::Observation;
using tests::Pending;
using tests::Seen;
using tests::WalkFinished;
using tests::WalkStarted;

// A policy that denies what calls itself by this name.
std::shared_ptr<const engine::Policy> Denying(const std::string& name, std::uint64_t version) {
  model::RuleSet rules;
  rules.default_outcome = model::Outcome::kAllow;
  model::Rule rule;
  rule.id = "no-" + name;
  rule.when.kind = model::Condition::Kind::kTest;
  rule.when.test.field = "name";
  rule.when.test.op = model::Operator::kEquals;
  rule.when.test.texts = {name};
  rule.outcome = model::Outcome::kDeny;
  rule.message = "not " + name;
  rules.rules.push_back(rule);
  auto policy = engine::Policy::Make(version, rules, nullptr);
  EXPECT_TRUE(policy.has_value()) << policy.error().message();
  return *policy;
}

std::shared_ptr<const engine::Policy> Withholding(model::WithheldFields withheld) {
  model::RuleSet rules;
  rules.settings.withheld = std::move(withheld);
  return engine::Policy::Make(1, rules, nullptr).value();
}

class InventoryTest : public testing::Test {
 protected:
  void Apply(const std::vector<Observation>& observations) {
    const auto applied = rooms_.inventory->Apply(observations);
    ASSERT_TRUE(applied.has_value()) << applied.error().message();
  }
  std::uint64_t Sightings() { return rooms_.inventory->Count()->sightings; }
  bool Knows(const std::string& path) {
    return rooms_.inventory->Find(model::Path{path})->has_value();
  }

  tests::AgentRooms rooms_;
};

TEST_F(InventoryTest, TellsOfANewModelAndOfItsVerdict) {
  Apply({Seen("/m/a.gguf")});
  const auto appeared = rooms_.ToldOf<model::SightingAppeared>();
  ASSERT_EQ(appeared.size(), 1);
  EXPECT_EQ(appeared[0].sighting, Seen("/m/a.gguf").sighting);
  const auto judged = rooms_.ToldOf<model::SightingJudged>();
  ASSERT_EQ(judged.size(), 1);
  EXPECT_EQ(judged[0].sha256, Seen("/m/a.gguf").sighting.digest.sha256);
  EXPECT_EQ(rooms_.inventory->Count()->allow, 1);
}

TEST_F(InventoryTest, SaysNothingOfAModelThatIsAsItWas) {
  Apply({Seen("/m/a.gguf")});
  sensors::ModelSeen again = Seen("/m/a.gguf");
  again.sighting.digest.verified_at = tests::kTestEpoch + std::chrono::hours(1);
  Apply({Seen("/m/a.gguf"), again});
  EXPECT_EQ(rooms_.ToldOf<model::SightingAppeared>().size(), 1);
  EXPECT_TRUE(rooms_.ToldOf<model::SightingChanged>().empty());
  EXPECT_EQ(rooms_.inventory->Find({"/m/a.gguf"})->value().sighting, again.sighting)
      << "the newer time of verification is kept all the same";
}

TEST_F(InventoryTest, TellsWhenADigestIsNoLongerPending) {
  Apply({Pending("/m/a.gguf")});
  EXPECT_EQ(rooms_.inventory->Count()->digests_pending, 1);
  Apply({Seen("/m/a.gguf")});
  EXPECT_EQ(rooms_.inventory->Count()->digests_pending, 0);
  EXPECT_EQ(rooms_.ToldOf<model::SightingChanged>().size(), 1);
}

TEST_F(InventoryTest, TellsOfAGoneModelOnce) {
  Apply({Seen("/m/a.gguf"), Seen("/m/b.gguf")});
  Apply({sensors::ModelGone{{"/m/a.gguf"}, false}, sensors::ModelGone{{"/m/a.gguf"}, true},
         sensors::ModelGone{{"/never/was"}, true}});
  const auto gone = rooms_.ToldOf<model::SightingGone>();
  ASSERT_EQ(gone.size(), 1);
  EXPECT_EQ(gone[0].reason, model::GoneReason::kNoModel);
  EXPECT_EQ(Sightings(), 1);
}

TEST_F(InventoryTest, ConcludesFromACompleteWalkWhatIsGone) {
  Apply({Seen("/m/a"), Seen("/m/b"), Seen("/m/c"), Seen("/m-other/d")});
  Apply({WalkStarted("/m"), sensors::ModelStillThere{{"/m/a"}}, Seen("/m/b", "changed"),
         WalkFinished("/m")});
  EXPECT_TRUE(Knows("/m/a"));
  EXPECT_TRUE(Knows("/m/b"));
  EXPECT_FALSE(Knows("/m/c"));
  EXPECT_TRUE(Knows("/m-other/d")) << "a name that merely begins like the root";
}

TEST_F(InventoryTest, ConcludesNothingFromAWalkThatCouldNotReadEverything) {
  Apply({Seen("/m/a"), WalkStarted("/m"), WalkFinished("/m", false)});
  Apply({WalkStarted("/m"), sensors::ModelStillThere{{"/m/a"}}});
  EXPECT_TRUE(Knows("/m/a"));
}

TEST_F(InventoryTest, ConcludesNothingFromAWalkThatItDidNotSeeBegin) {
  Apply({Seen("/m/a"), WalkStarted("/m")});
  rooms_.Kill();
  rooms_.Open();
  Apply({WalkFinished("/m")});
  EXPECT_TRUE(Knows("/m/a"));
}

TEST_F(InventoryTest, LeavesARootInsideARootToItsOwnWalks) {
  Apply({WalkFinished("/m/mounted"), Seen("/m/mounted/a"), Seen("/m/b")});
  Apply({WalkStarted("/m"), WalkFinished("/m")});
  EXPECT_TRUE(Knows("/m/mounted/a"));
  EXPECT_FALSE(Knows("/m/b"));
}

TEST_F(InventoryTest, WalksTheWholeFileSystemAsARoot) {
  Apply({Seen("/a"), Seen("/\xff/b"), WalkStarted("/"), sensors::ModelStillThere{{"/\xff/b"}},
         WalkFinished("/")});
  EXPECT_FALSE(Knows("/a"));
  EXPECT_TRUE(Knows("/\xff/b"));
}

TEST_F(InventoryTest, FindsEveryGoneModelOfALargeRoot) {
  const std::size_t count = 3 * base::limits::kMaxSightingsPerTransaction + 7;
  for (std::size_t i = 0; i < count; ++i) Apply({Seen("/m/" + std::to_string(i))});
  Apply({WalkStarted("/m"), sensors::ModelStillThere{{"/m/5"}}, WalkFinished("/m")});
  EXPECT_EQ(Sightings(), 1);
  EXPECT_EQ(rooms_.ToldOf<model::SightingGone>().size(), count - 1);
}

TEST_F(InventoryTest, TellsOfCoverageOnlyWhenItChanged) {
  Apply({WalkFinished("/m"), WalkFinished("/m"), WalkFinished("/m", false)});
  EXPECT_EQ(rooms_.ToldOf<model::CoverageChanged>().size(), 2);
  const auto coverages = rooms_.inventory->Coverages();
  ASSERT_EQ(coverages->size(), 1);
  EXPECT_EQ(coverages->front().state, model::CoverageState::kPartly);
}

TEST_F(InventoryTest, TellsOnlyVerdictsThatChangeWhenJudgedAgain) {
  Apply({Seen("/m/good", "good"), Seen("/m/bad", "bad")});
  rooms_.judge->Set(Denying("bad", 2));
  std::optional<decide::RejudgeCounts> counts;
  rooms_.inventory->Rejudge([&](const decide::RejudgeCounts& done) { counts = done; });
  ASSERT_TRUE(counts.has_value()) << "before it returns, as one transaction is enough";
  EXPECT_EQ(counts->judged, 2);
  EXPECT_EQ(counts->changed, 1);
  EXPECT_EQ(counts->allow, 1);
  EXPECT_EQ(counts->deny, 1);
  const auto judged = rooms_.ToldOf<model::SightingJudged>();
  ASSERT_EQ(judged.size(), 3);
  EXPECT_EQ(judged.back().path.bytes, "/m/bad");
  EXPECT_EQ(judged.back().verdict.outcome, model::Outcome::kDeny);
}

TEST_F(InventoryTest, JudgesAgainEverySightingOfALargeInventory) {
  const std::uint64_t count = 2 * base::limits::kMaxSightingsPerTransaction;
  for (std::uint64_t i = 0; i < count; ++i) Apply({Seen("/m/" + std::to_string(i), "bad")});
  rooms_.judge->Set(Denying("bad", 2));
  std::uint64_t changed = 0;
  rooms_.inventory->Rejudge([&](const decide::RejudgeCounts& done) { changed = done.changed; });
  EXPECT_EQ(changed, 0) << "the loop is free in between";
  rooms_.loop.RunReady();
  EXPECT_EQ(changed, count);
}

TEST_F(InventoryTest, TellsNothingOfWhatIsWithheldAndKnowsAndJudgesItAllTheSame) {
  auto rules = Denying("bad", 1)->rules();
  rules.settings.withheld = {model::Withheld::kName, model::Withheld::kOwner};
  rooms_.judge->Set(engine::Policy::Make(1, rules, nullptr).value());
  Apply({Seen("/m/a", "bad")});
  const auto appeared = rooms_.ToldOf<model::SightingAppeared>();
  ASSERT_EQ(appeared.size(), 1);
  EXPECT_EQ(appeared[0].sighting,
            model::Without(rules.settings.withheld, Seen("/m/a", "bad").sighting));
  EXPECT_EQ(rooms_.ToldOf<model::SightingJudged>().at(0).verdict.outcome, model::Outcome::kDeny);
  EXPECT_EQ(rooms_.inventory->Find({"/m/a"})->value().sighting, Seen("/m/a", "bad").sighting);
}

TEST_F(InventoryTest, AChangeOfWhatIsWithheldAloneIsNothingToTell) {
  rooms_.judge->Set(Withholding({model::Withheld::kOwner}));
  Apply({Seen("/m/a")});
  sensors::ModelSeen given_away = Seen("/m/a");
  given_away.sighting.owner = {"1001", "another"};
  Apply({given_away});
  EXPECT_TRUE(rooms_.ToldOf<model::SightingChanged>().empty());
  EXPECT_EQ(rooms_.inventory->Find({"/m/a"})->value().sighting.owner.name, "another");
  rooms_.judge->Set(Withholding({}));
  Apply({given_away});
  EXPECT_EQ(rooms_.ToldOf<model::SightingChanged>().at(0).sighting.owner.name, "another")
      << "at the latest when it is seen again";
}

TEST_F(InventoryTest, TellsAgainOnlyWhatIsSentDifferentlyNow) {
  sensors::ModelSeen nobodys = Seen("/m/nobodys");
  nobodys.sighting.owner = {};
  Apply({Seen("/m/a"), nobodys});
  rooms_.judge->Set(Withholding({model::Withheld::kOwner}));
  rooms_.inventory->Rejudge([](const decide::RejudgeCounts&) {});
  const auto changed = rooms_.ToldOf<model::SightingChanged>();
  ASSERT_EQ(changed.size(), 1);
  EXPECT_EQ(changed[0].sighting.path.bytes, "/m/a");
  EXPECT_EQ(changed[0].sighting.owner, model::User{});
}

TEST_F(InventoryTest, GoesOnTellingAgainAfterAKillInTheMiddle) {
  const std::uint64_t count = 2 * base::limits::kMaxSightingsPerTransaction;
  for (std::uint64_t i = 0; i < count; ++i) Apply({Seen("/m/" + std::to_string(i))});
  rooms_.judge->Set(Withholding({model::Withheld::kOwner}));
  rooms_.inventory->Rejudge([](const decide::RejudgeCounts&) {});  // the first page of it
  const std::size_t before = rooms_.ToldOf<model::SightingChanged>().size();
  EXPECT_EQ(before, base::limits::kMaxSightingsPerTransaction);
  rooms_.Kill();
  rooms_.Open();
  rooms_.judge->Set(Withholding({model::Withheld::kOwner}));
  bool done = false;
  rooms_.inventory->Rejudge([&](const decide::RejudgeCounts&) { done = true; });
  rooms_.loop.RunReady();
  EXPECT_TRUE(done);
  EXPECT_EQ(rooms_.ToldOf<model::SightingChanged>().size(), count) << "each once";
}

TEST_F(InventoryTest, AnswersWithTheReasonOfThePolicyInForceNow) {
  Apply({Seen("/m/a", "good")});
  rooms_.judge->Set(Denying("bad", 9));
  EXPECT_EQ(rooms_.inventory->Find({"/m/a"})->value().verdict.policy_version, 9);
}

TEST_F(InventoryTest, TellsThatWhatLayBelowARemovedRootIsGone) {
  Apply({Seen("/m/a"), Seen("/old/b"), Seen("/old/b/c"), Seen("/m-other/d"), WalkFinished("/m"),
         WalkFinished("/old"), WalkFinished("/m/inner")});
  const sensors::RootsChosen chosen{"artifacts", {{"/m"}, {"/elsewhere"}}};
  Apply({chosen});
  EXPECT_EQ(Sightings(), 1);
  EXPECT_TRUE(Knows("/m/a"));
  const auto gone = rooms_.ToldOf<model::SightingGone>();
  ASSERT_EQ(gone.size(), 3);
  for (const model::SightingGone& event : gone) {
    EXPECT_EQ(event.reason, model::GoneReason::kRootRemoved);
  }
  const auto coverages = rooms_.inventory->Coverages();
  ASSERT_EQ(coverages->size(), 1);
  EXPECT_EQ(coverages->at(0).root.bytes, "/m");
  const auto covered = rooms_.ToldOf<model::CoverageChanged>();
  ASSERT_EQ(covered.size(), 5);
  EXPECT_EQ(covered[3].coverage.reason, model::CoverageReason::kRootRemoved);
  EXPECT_EQ(covered[4].coverage.reason, model::CoverageReason::kRootRemoved);

  Apply({chosen});
  EXPECT_EQ(rooms_.ToldOf<model::CoverageChanged>().size(), 5) << "each is told once";
}

TEST_F(InventoryTest, ForgetsNothingBelowTheRootOfAllAndNothingOfAnotherSensor) {
  sensors::CoverageSeen other;
  other.coverage.sensor = "another";
  other.coverage.root.bytes = "/somewhere";
  Apply({Seen("/m/a"), WalkFinished("/"), other});
  Apply({sensors::RootsChosen{"artifacts", {{"/"}}}});
  EXPECT_TRUE(Knows("/m/a"));
  EXPECT_EQ(rooms_.inventory->Coverages()->size(), 2);
}

TEST_F(InventoryTest, ForgetsEveryRowOfALargeRemovedRoot) {
  std::vector<Observation> many;
  for (std::size_t i = 0; i < 3 * base::limits::kMaxSightingsPerTransaction; ++i) {
    many.push_back(Seen("/old/" + std::to_string(i)));
  }
  Apply(many);
  Apply({sensors::RootsChosen{"artifacts", {}}});
  EXPECT_EQ(Sightings(), 0);
}

TEST_F(InventoryTest, LeavesWhatLayBelowAMountThatWentToTheWalkAroundIt) {
  Apply({Seen("/a"), Seen("/usb/b"), Seen("/usb/disk/c"), WalkFinished("/"), WalkFinished("/usb"),
         WalkFinished("/usb/disk")});
  Apply({sensors::RootsChosen{"artifacts", {{"/"}, {"/usb/disk"}}}});
  EXPECT_TRUE(Knows("/usb/b"));
  Apply({WalkStarted("/"), sensors::ModelStillThere{{"/a"}}, WalkFinished("/")});
  EXPECT_TRUE(Knows("/a"));
  EXPECT_FALSE(Knows("/usb/b"));
  EXPECT_TRUE(Knows("/usb/disk/c")) << "it has a root of its own";
}

TEST_F(InventoryTest, KeepsWhatARootThatTookThePlaceOfALargerOneStillCovers) {
  Apply({Seen("/home/a"), Seen("/home/alice/b"), WalkFinished("/home")});
  Apply({sensors::RootsChosen{"artifacts", {{"/home/alice"}}}});
  EXPECT_FALSE(Knows("/home/a"));
  EXPECT_TRUE(Knows("/home/alice/b"));
}

TEST_F(InventoryTest, MissesWhatLiesOnAFileSystemThatIsNotWalkedAnyMore) {
  Apply({Seen("/data/a"), WalkFinished("/"), WalkFinished("/data")});
  sensors::CoverageSeen excluded;
  excluded.coverage.sensor = "artifacts";
  excluded.coverage.root.bytes = "/data";
  excluded.coverage.state = model::CoverageState::kCouldNot;
  excluded.coverage.reason = model::CoverageReason::kIoError;
  Apply({excluded, WalkStarted("/"), WalkFinished("/")});
  EXPECT_TRUE(Knows("/data/a")) << "it could not be opened this time";
  excluded.coverage.reason = model::CoverageReason::kExcluded;
  Apply({excluded, WalkStarted("/"), WalkFinished("/")});
  EXPECT_FALSE(Knows("/data/a"));
}

TEST_F(InventoryTest, TellsCoverageAnewWhenMoreThanItsCountsChanged) {
  sensors::CoverageSeen seen;
  seen.coverage.sensor = "artifacts";
  seen.coverage.root.bytes = "/m";
  seen.coverage.files_seen = 1;
  Apply({seen});
  seen.coverage.files_seen = 2;
  Apply({seen});
  EXPECT_EQ(rooms_.inventory->Coverages()->at(0).files_seen, 2U);
  EXPECT_EQ(rooms_.ToldOf<model::CoverageChanged>().size(), 1U);
  seen.coverage.state = model::CoverageState::kPartly;
  Apply({seen});
  EXPECT_EQ(rooms_.ToldOf<model::CoverageChanged>().size(), 2U);
}

TEST_F(InventoryTest, ConcludesNothingBelowWhatCouldNotBeRead) {
  Apply({Seen("/m/a"), Seen("/m/shut/b"), Seen("/m/shut-not/c"), Seen("/m/file")});
  sensors::WalkFinished finished = WalkFinished("/m");
  finished.unread = {{"/m/shut"}, {"/m/file"}};
  Apply({WalkStarted("/m"), finished});
  EXPECT_FALSE(Knows("/m/a"));
  EXPECT_FALSE(Knows("/m/shut-not/c"));
  EXPECT_TRUE(Knows("/m/shut/b"));
  EXPECT_TRUE(Knows("/m/file"));

  sensors::WalkFinished everything = WalkFinished("/");
  everything.unread = {{"/"}};
  Apply({WalkStarted("/"), everything});
  EXPECT_TRUE(Knows("/m/file"));
}

TEST_F(InventoryTest, GivesADigestToTheStateThatWasHashedAndToNoOther) {
  const sensors::ModelSeen seen = Pending("/m/a");
  sensors::ModelHashed hashed;
  hashed.path = seen.sighting.path;
  hashed.stamp = {seen.sighting.identity, seen.sighting.size_bytes, seen.modified_ns,
                  seen.changed_ns};
  hashed.digest = Seen("/m/a").sighting.digest;
  const auto digest = [this] { return rooms_.inventory->Find({"/m/a"})->value().sighting.digest; };

  Apply({hashed});
  EXPECT_EQ(Sightings(), 0) << "it was gone when its digest came";
  sensors::ModelHashed older = hashed;
  older.stamp.changed_ns -= 1;
  Apply({seen, older});
  EXPECT_EQ(digest().state, model::DigestState::kPending);
  Apply({hashed});
  EXPECT_EQ(digest(), hashed.digest);
  EXPECT_EQ(rooms_.ToldOf<model::SightingChanged>().size(), 1U);

  hashed.digest.verified_at = *hashed.digest.verified_at + base::Duration(1'000'000);
  Apply({hashed});
  EXPECT_EQ(digest().verified_at, hashed.digest.verified_at);
  EXPECT_EQ(rooms_.ToldOf<model::SightingChanged>().size(), 1U) << "the same bytes are no news";
}

TEST_F(InventoryTest, KeepsAPathOfAnyBytes) {
  std::string path = "/m/\n<b>\xff\xfe";
  path.resize(4096, 'x');
  Apply({Seen(path)});
  EXPECT_TRUE(Knows(path));
  EXPECT_EQ(rooms_.ToldOf<model::SightingAppeared>().at(0).sighting.path.bytes, path);
}

TEST_F(InventoryTest, LeavesOutAndCountsWhatCannotBeTold) {
  sensors::ModelSeen defect = Seen("/m/a");
  defect.sighting.identity.bytes.resize(100'000, 'x');
  Apply({defect, Seen("/m/b")});
  EXPECT_EQ(rooms_.inventory->refused_sightings(), 1);
  EXPECT_EQ(Sightings(), 1);
}

TEST_F(InventoryTest, HasStateAndEventsTogetherWhateverTheDiskDoes) {
  for (int room = 0;; ++room) {
    ASSERT_LT(room, 100) << "the sweep never reached a run without a fault";
    tests::AgentRooms rooms;
    std::vector<Observation> observations;
    for (int i = 0; i < 40; ++i) {
      sensors::ModelSeen seen = Seen("/m/" + std::to_string(i));
      seen.sighting.facts.license = std::string(500, 'l');
      observations.push_back(seen);
    }
    auto pages = rooms.database->Prepare("PRAGMA page_count");
    ASSERT_TRUE(pages->Step().value());
    const std::string limit = std::to_string(pages->Int(0) + room);
    { const auto done = std::move(pages); }
    ASSERT_TRUE(rooms.database->Execute("PRAGMA max_page_count=" + limit).has_value());
    const auto applied = rooms.inventory->Apply(observations);
    if (!applied.has_value()) {
      EXPECT_EQ(applied.error().code(), base::ErrorCode::kResourceExhausted);
    }
    rooms.Kill();
    rooms.Open();
    EXPECT_EQ(rooms.ToldOf<model::SightingAppeared>().size(), rooms.inventory->Count()->sightings);
    ASSERT_TRUE(rooms.inventory->Apply(observations).has_value()) << "the same ones once more";
    EXPECT_EQ(rooms.ToldOf<model::SightingAppeared>().size(), 40);
    EXPECT_EQ(rooms.ToldOf<model::SightingJudged>().size(), 40);
    if (applied.has_value()) return;
  }
}

}  // namespace
}  // namespace weighmaster::agent::inventory
