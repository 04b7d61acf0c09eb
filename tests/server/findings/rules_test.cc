#include "server/findings/rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/endpoint_script.h"
#include "tests/support/keys.h"

namespace weighmaster::server::findings {
namespace {

using store::BatchOutcome;
using Kind = BatchOutcome::Kind;

store::BatchWrite BatchOf(std::vector<model::EventBody> bodies) {
  store::BatchWrite batch;
  batch.endpoint = tests::TestId(1);
  batch.header.chain = tests::TestId(0xc1);
  batch.header.number = 7;
  batch.received = tests::kTestEpoch;
  for (model::EventBody& body : bodies) {
    model::Event event;
    event.body = std::move(body);
    batch.events.emplace_back(store::EventWrite(std::move(event)));
  }
  return batch;
}

BatchOutcome OutcomeOf(Kind kind) {
  BatchOutcome outcome;
  outcome.kind = kind;
  return outcome;
}

std::vector<store::FindingChange> Opened(const store::BatchWrite& batch,
                                         Kind kind = Kind::kStored) {
  auto changes = OfBatch(batch, OutcomeOf(kind), true);
  std::erase_if(changes, [](const store::FindingChange& change) { return change.resolve; });
  return changes;
}

TEST(FindingRules, ADeniedModelIsOneFindingAPathUntilItIsAllowedOrGone) {
  const auto judged = [](model::Outcome outcome) {
    return BatchOf({model::SightingJudged{{"/m/a"}, std::nullopt, tests::TestVerdict(outcome)}});
  };
  const auto denied = Opened(judged(model::Outcome::kDeny));
  ASSERT_EQ(denied.size(), 1U);
  EXPECT_EQ(denied[0].rule, kDeniedModel);
  EXPECT_EQ(denied[0].severity, model::Severity::kHigh);
  EXPECT_EQ(Opened(judged(model::Outcome::kDeny))[0].dedupe_key, denied[0].dedupe_key);
  EXPECT_TRUE(Opened(judged(model::Outcome::kWarn)).empty());

  const auto warned = OfBatch(judged(model::Outcome::kWarn), OutcomeOf(Kind::kStored), true);
  ASSERT_EQ(warned.size(), 1U);
  EXPECT_TRUE(warned[0].resolve);
  EXPECT_EQ(warned[0].dedupe_key, denied[0].dedupe_key);
  const auto gone = OfBatch(BatchOf({model::SightingGone{{"/m/a"}, model::GoneReason::kDeleted}}),
                            OutcomeOf(Kind::kStored), true);
  EXPECT_TRUE(std::ranges::any_of(gone, [&](const store::FindingChange& change) {
    return change.resolve && change.dedupe_key == denied[0].dedupe_key;
  }));
}

TEST(FindingRules, WithNothingOpenABatchResolvesOnlyWhatItOpensItself) {
  const auto judged = [](const char* path, model::Outcome outcome) {
    return model::SightingJudged{{path}, std::nullopt, tests::TestVerdict(outcome)};
  };
  const auto allow = model::Outcome::kAllow;
  const model::SightingGone gone{{"/m/a"}, model::GoneReason::kDeleted};
  EXPECT_TRUE(OfBatch(BatchOf({judged("/m/a", allow), gone, model::PolicyApplied{}}),
                      OutcomeOf(Kind::kStored), false)
                  .empty());
  const auto changes =
      OfBatch(BatchOf({judged("/m/a", allow), judged("/m/b", model::Outcome::kDeny),
                       judged("/m/b", allow)}),
              OutcomeOf(Kind::kStored), false);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_FALSE(changes[0].resolve);
  EXPECT_TRUE(changes[1].resolve);
  EXPECT_EQ(changes[1].dedupe_key, changes[0].dedupe_key);
}

TEST(FindingRules, OnlyARiskOfAtLeastHighIsAFinding) {
  model::Sighting sighting = tests::TestSighting("/m/a", 1);
  sighting.facts.risks = {{"opaque", model::Severity::kMedium, "", ""}};
  EXPECT_TRUE(Opened(BatchOf({model::SightingAppeared{sighting}})).empty());
  sighting.facts.risks.push_back({"pickle_executes_code", model::Severity::kCritical, "runs", ""});
  const auto opened = Opened(BatchOf({model::SightingChanged{sighting}}));
  ASSERT_EQ(opened.size(), 1U);
  EXPECT_EQ(opened[0].rule, kRiskyModel);
  EXPECT_EQ(opened[0].severity, model::Severity::kCritical);
}

TEST(FindingRules, EveryOutcomeThatIsAnAttackOrADefectIsAFindingAndNoOther) {
  const auto batch = BatchOf({model::BodiesDropped{model::PriorityClass::kActivity, 3}});
  const std::pair<Kind, std::string_view> expected[] = {
      {Kind::kStored, kBodiesDropped},    {Kind::kEquivocation, kEquivocation},
      {Kind::kBrokenChain, kBrokenChain}, {Kind::kClone, kClone},
      {Kind::kQuarantined, kRevokedKey},  {Kind::kRefused, kBadBatch}};
  for (const auto& [kind, rule] : expected) {
    const auto opened = Opened(batch, kind);
    ASSERT_EQ(opened.size(), 1U) << rule;
    EXPECT_EQ(opened[0].rule, rule);
  }
  EXPECT_TRUE(OfBatch(batch, OutcomeOf(Kind::kGap), true).empty());
  EXPECT_TRUE(OfBatch(batch, OutcomeOf(Kind::kRepeated), true).empty()) << "counted twice";
}

TEST(FindingRules, AGapIsAFindingOnlyWhenItCannotBeRefilled) {
  model::ChainStarted start;
  for (const auto reason : {model::ChainReason::kEnrolled, model::ChainReason::kHeadUnknown,
                            model::ChainReason::kJournalLost}) {
    start.reason = reason;
    EXPECT_TRUE(Opened(BatchOf({start})).empty());
  }
  start.reason = model::ChainReason::kCannotRefill;
  ASSERT_EQ(Opened(BatchOf({start})).size(), 1U);
  EXPECT_EQ(Opened(BatchOf({start}))[0].rule, kGap);
}

TEST(FindingRules, ARefusedPolicyIsAFindingUntilOneIsAppliedWhole) {
  const auto refused =
      Opened(BatchOf({model::PolicyRefused{4, model::PolicyRefusal::kBadSignature, "x"}}));
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].rule, kPolicyRefused);
  EXPECT_EQ(refused[0].detail, "bad_signature: x");
  model::PolicyApplied applied;
  const auto resolved = OfBatch(BatchOf({applied}), OutcomeOf(Kind::kStored), true);
  ASSERT_EQ(resolved.size(), 1U);
  EXPECT_TRUE(resolved[0].resolve);
  EXPECT_EQ(resolved[0].dedupe_key, refused[0].dedupe_key);
  applied.partly = true;
  EXPECT_EQ(Opened(BatchOf({applied})).size(), 1U);
}

TEST(FindingRules, AClockIsOffPastFiveMinutesEitherWay) {
  using std::chrono::minutes;
  using std::chrono::seconds;
  const auto of = [](base::Duration offset) {
    return OfClock(tests::TestId(1), offset, tests::kTestEpoch);
  };
  EXPECT_TRUE(of(minutes(5)).resolve);
  EXPECT_TRUE(of(-minutes(5)).resolve);
  EXPECT_FALSE(of(minutes(5) + seconds(1)).resolve);
  EXPECT_EQ(of(-std::chrono::hours(24)).detail,
            "the endpoint's clock is 86400 s ahead of the server's");
}

TEST(FindingRules, ForeignTextsAreEscaped) {
  const auto opened = Opened(BatchOf({model::SightingJudged{
      {"/m/\n\x1b[31m"}, std::nullopt, tests::TestVerdict(model::Outcome::kDeny)}}));
  ASSERT_EQ(opened.size(), 1U);
  EXPECT_EQ(opened[0].subject, "/m/\\x0a\\x1b[31m");
}

}  // namespace
}  // namespace weighmaster::server::findings
