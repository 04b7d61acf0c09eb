#include "policy/model/verdict.h"

#include <gtest/gtest.h>

namespace weighmaster::model {
namespace {

TEST(SameJudgement, IgnoresTheVersionAndTheWordsOfTheReason) {
  Verdict a;
  a.rule = "r";
  Verdict b = a;
  b.policy_version = 9;
  b.reason = "other words";
  EXPECT_TRUE(SameJudgement(a, b));
}

TEST(SameJudgement, SeesAnotherOutcomeStepRuleOrBasis) {
  const Verdict a;
  Verdict b = a;
  b.outcome = Outcome::kDeny;
  EXPECT_FALSE(SameJudgement(a, b));
  b = a;
  b.step = JudgementStep::kRule;
  EXPECT_FALSE(SameJudgement(a, b));
  b = a;
  b.rule = "r";
  EXPECT_FALSE(SameJudgement(a, b));
  b = a;
  b.basis = Basis::kPartial;
  EXPECT_FALSE(SameJudgement(a, b));
}

}  // namespace
}  // namespace weighmaster::model
