// What we ship in policy/starter and docs: the schema and the page of fields are made from the
// table of fields, and the starter policies lint clean and do what their cases say.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "policy/lang/cases.h"
#include "policy/lang/compile.h"
#include "policy/lang/schema.h"
#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

using ::testing::IsEmpty;

std::string ReadFromTree(const std::string& path) {
  std::ifstream file(std::string(WEIGHMASTER_TREE) + "/" + path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}
std::string ReadStarter(const std::string& name) { return ReadFromTree("policy/starter/" + name); }

TEST(Schema, IsTheOneInTheTree) {
  EXPECT_EQ(ReadStarter("policy.schema.json"), PolicySchema())
      << "weighctl policy schema > policy/starter/policy.schema.json";
}

TEST(FieldsPage, IsTheOneInTheTree) {
  EXPECT_EQ(ReadFromTree("docs/policy-fields.md"), FieldsPage())
      << "weighctl policy fields > docs/policy-fields.md";
}

TEST(CollectedPage, IsTheOneInTheTree) {
  EXPECT_EQ(ReadFromTree("docs/collected.md"), CollectedPage())
      << "weighctl policy collected > docs/collected.md";
}

class Starter : public ::testing::TestWithParam<std::string> {
 protected:
  Starter()
      : reading_(ReadDocument(
            GetParam(), ReadStarter(GetParam() + ".yaml"),
            [](const std::string& path) -> base::Result<std::string> { return ReadStarter(path); },
            kNow)) {}

  const Reading reading_;
};

TEST_P(Starter, LintsWithoutAWord) { EXPECT_EQ(reading_.diagnostics.ToText(), ""); }

TEST_P(Starter, PassesItsCasesAndHasOneForEachRule) {
  const CasesReading cases =
      ReadCases(GetParam() + ".test.yaml", ReadStarter(GetParam() + ".test.yaml"), kNow);
  EXPECT_EQ(cases.diagnostics.ToText(), "");
  EXPECT_GE(cases.cases.size(), 5U);
  const auto policy = MakePolicy(0, reading_, cases.digests).value();
  const CasesOutcome outcome = RunCases(*policy, cases.cases);
  for (const CaseFailure& failure : outcome.failures) {
    ADD_FAILURE() << failure.failed->name << ": " << ::testing::PrintToString(failure.differences);
  }
  EXPECT_THAT(outcome.idle_rules, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, Starter, ::testing::Values("observe", "permissive", "locked"),
                         [](const auto& name) { return name.param; });

TEST(StarterObserve, DeniesNothing) {
  const Reading reading = ReadDocument("observe", ReadStarter("observe.yaml"), nullptr, kNow);
  for (const DocumentRule& rule : reading.document.rules) {
    EXPECT_NE(rule.rule.outcome, model::Outcome::kDeny) << rule.rule.id;
  }
  EXPECT_EQ(reading.document.default_outcome, model::Outcome::kAllow);
}

}  // namespace
}  // namespace weighmaster::lang
