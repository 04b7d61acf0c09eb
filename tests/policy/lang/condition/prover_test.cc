// Random conditions and sightings: what is proved without a subject is so for every one.

#include "policy/lang/condition/prover.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/engine/condition.h"
#include "policy/lang/condition/condition_text.h"
#include "tests/policy/lang/reading.h"
#include "tests/support/random_policies.h"

namespace weighmaster::lang {
namespace {

using engine::Truth;
using model::Condition;

// Evaluates conditions for a few random sightings.
class Subjects {
 public:
  explicit Subjects(tests::RandomPolicies& generator)
      : storage_(model::EncodeDigestLists(generator.Lists())),
        lists_(model::DigestListsView::Parse(storage_).value()) {
    for (int i = 0; i < 20; ++i) sightings_.push_back(generator.Sighting());
  }

  // For each of them.
  std::vector<Truth> Of(const Condition& condition) const {
    const auto compiled = engine::CompiledCondition::Compile(condition).value();
    std::vector<Truth> truths;
    for (const model::Sighting& sighting : sightings_) {
      truths.push_back(compiled.Evaluate({sighting, lists_}).now);
    }
    return truths;
  }

 private:
  const base::Bytes storage_;
  const model::DigestListsView lists_;
  std::vector<model::Sighting> sightings_;
};

TEST(Prover, WhatItSaysOfOneConditionIsSoForEverySubject) {
  int never_true = 0;
  int never_false = 0;
  int always_true = 0;
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    tests::RandomPolicies generator(seed);
    const Condition condition = generator.MakeCondition(2, true);
    Prover prover;
    const bool is_never_true = prover.IsNeverTrue(condition);
    const bool is_never_false = prover.IsNeverFalse(condition);
    const bool is_always_true = prover.IsAlwaysTrue(condition);
    never_true += is_never_true ? 1 : 0;
    never_false += is_never_false ? 1 : 0;
    always_true += is_always_true ? 1 : 0;
    if (!is_never_true && !is_never_false) continue;
    for (const Truth truth : Subjects(generator).Of(condition)) {
      ASSERT_FALSE(is_never_true && truth == Truth::kTrue) << ConditionText(condition);
      ASSERT_FALSE(is_never_false && truth == Truth::kFalse) << ConditionText(condition);
      ASSERT_FALSE(is_always_true && truth != Truth::kTrue) << ConditionText(condition);
    }
  }
  EXPECT_GT(never_true, 500);
  EXPECT_GT(never_false, 500);
  EXPECT_GT(always_true, 500);
}

TEST(Prover, WhatOneConditionImpliesIsTrueWhereverItIs) {
  int implied = 0;
  int seen = 0;
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    tests::RandomPolicies generator(seed);
    std::vector<Condition> conditions;
    for (const int depth : {0, 0, 1, 1, 2}) {
      conditions.push_back(generator.MakeCondition(depth, true));
    }
    for (const Condition& narrow : conditions) {
      for (const Condition& wide : conditions) {
        if (&narrow == &wide || !Prover().Implies(narrow, wide)) continue;
        ++implied;
        const Subjects subjects(generator);
        const std::vector<Truth> of_narrow = subjects.Of(narrow);
        const std::vector<Truth> of_wide = subjects.Of(wide);
        for (std::size_t i = 0; i < of_narrow.size(); ++i) {
          if (of_narrow[i] != Truth::kTrue) continue;
          ++seen;
          ASSERT_EQ(of_wide[i], Truth::kTrue)
              << ConditionText(narrow) << " / " << ConditionText(wide);
        }
      }
    }
  }
  EXPECT_GT(implied, 5'000);
  EXPECT_GT(seen, 5'000);
}

TEST(Prover, SaysNoOnceItsStepsAreUsedUp) {
  const Condition wide = ConditionOf("{license: {glob: \"a*\"}}");
  const Condition narrow = ConditionOf("{license: apache-2.0}");
  EXPECT_TRUE(Prover().Implies(narrow, wide));
  Prover brief(10);
  EXPECT_FALSE(brief.Implies(narrow, wide));
  EXPECT_TRUE(brief.is_spent());
  EXPECT_FALSE(brief.IsNeverTrue(ConditionOf("{license: {is: mit, glob: \"a*\"}}")));
}

}  // namespace
}  // namespace weighmaster::lang
