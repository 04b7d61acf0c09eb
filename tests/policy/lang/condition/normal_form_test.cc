#include "policy/lang/condition/normal_form.h"

#include <gtest/gtest.h>

#include "policy/engine/condition.h"
#include "policy/lang/condition/condition_text.h"
#include "tests/policy/lang/reading.h"
#include "tests/support/random_policies.h"

namespace weighmaster::lang {
namespace {

using model::Condition;

std::string Normal(const std::string& condition) {
  return ConditionText(NormalForm(ConditionOf(condition)));
}

TEST(NormalForm, HasEachTextAndEachConditionOnceInOneOrder) {
  EXPECT_EQ(Normal("{license: [MIT, isc, mit]}"), "{license: [isc, mit]}");
  EXPECT_EQ(Normal("{all: [{name: y}, {all: [{name: X}]}, {not: {not: {name: x}}}]}"),
            "{all: [{name: x}, {name: y}]}");
  EXPECT_EQ(Normal("{any: [{all: [{name: x}, {name: x}]}, {any: [{name: x}]}]}"), "{name: x}");
}

TEST(NormalForm, MeansTheSameForEverySubject) {
  int changed = 0;
  for (std::uint64_t seed = 0; seed < 5'000; ++seed) {
    tests::RandomPolicies generator(seed);
    const Condition condition = generator.MakeCondition(3, true);
    const Condition normal = NormalForm(condition);
    EXPECT_EQ(NormalForm(normal), normal) << ConditionText(condition);
    changed += normal == condition ? 0 : 1;
    const auto one = engine::CompiledCondition::Compile(condition).value();
    const auto other = engine::CompiledCondition::Compile(normal).value();
    const model::DigestListsView lists;
    for (int i = 0; i < 10; ++i) {
      const model::Sighting sighting = generator.Sighting();
      const engine::Evaluation a = one.Evaluate({sighting, lists});
      const engine::Evaluation b = other.Evaluate({sighting, lists});
      ASSERT_EQ(a.now, b.now) << ConditionText(condition);
      ASSERT_EQ(a.lasting, b.lasting) << ConditionText(condition);
    }
  }
  EXPECT_GT(changed, 1'000);
}

}  // namespace
}  // namespace weighmaster::lang
