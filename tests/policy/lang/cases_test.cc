#include "policy/lang/cases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "policy/engine/fields.h"
#include "policy/lang/compile.h"
#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kPolicy = R"(policy: p
rules:
- {id: watch, audit: true, when: {size: {at_least: 1GB}}, then: deny}
- {id: no-pickle, when: {format: pickle}, then: deny, message: No.}
- {id: idle, when: {name: nobody}, then: deny, message: No.}
- {id: for-now, when: {name: b}, then: warn, message: Ask., expires: 2026-06-01}
)";

CasesReading Read(const std::string& text) { return ReadCases("p.test.yaml", text, kNow); }
CasesReading ReadOne(const std::string& given, const std::string& expect) {
  return Read("cases:\n- name: it\n  given: {" + given + "}\n  expect: {" + expect + "}\n");
}
std::string DiagnosticsOfGiven(const std::string& given) {
  return ReadOne(given, "verdict: allow").diagnostics.ToText();
}
CasesOutcome RunOnPolicy(const CasesReading& reading) {
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  return RunCases(*MakePolicy(0, ReadText(kPolicy)).value(), reading.cases);
}

TEST(Cases, PassWhereTheVerdictIsTheExpectedOne) {
  const CasesReading reading = Read(R"(cases:
- name: a pickle is denied
  given: {format: pickle, size: 2GB}
  expect: {verdict: deny, rule: no-pickle, basis: verified, severity: high, audits: [watch]}
- name: before June
  given: {name: b, time: 2026-05-31}
  expect: {verdict: warn, rule: for-now, audits: []}
- name: in June
  given: {name: b, time: 2026-06-01T00:00:00Z}
  expect: {verdict: allow}
)");
  const CasesOutcome outcome = RunOnPolicy(reading);
  EXPECT_EQ(outcome.passed, 3U);
  EXPECT_THAT(outcome.failures, IsEmpty());
  EXPECT_THAT(outcome.idle_rules, ElementsAre("idle"));
}

TEST(Cases, SayWhatIsDifferent) {
  const CasesReading reading =
      ReadOne("format: pickle, digest_state: pending, size: 1GB",
              "verdict: allow, rule: idle, basis: verified, severity: low, mode: warn, audits: []");
  const CasesOutcome outcome = RunOnPolicy(reading);
  ASSERT_EQ(outcome.failures.size(), 1U);
  EXPECT_EQ(outcome.failures[0].failed->name, "it");
  EXPECT_EQ(outcome.failures[0].failed->at.line, 2U);
  EXPECT_THAT(
      outcome.failures[0].differences,
      ElementsAre("the verdict is deny, not allow", "the rule is \"no-pickle\", not \"idle\"",
                  "the basis is partial, not verified", "the severity is high, not low",
                  "the mode is observe, not warn", "the audit rules are \"watch\", not none"));
}

TEST(Cases, GiveEveryFieldThatFollowsFromNoOther) {
  const std::string given =
      "format: gguf, name: n, architecture: a, license: mit, quantization: q, parameters: 7B, "
      "tensor_count: 3, size: 1 GB, path: /m/f.gguf, owner: ada, risk: malformed, "
      "risk_severity: low, digest_state: verified, sha256: " +
      Hex('a') + ", weights: " + Hex('b') + ", weights_reason: none";
  const CasesReading reading = ReadOne(given, "verdict: allow");
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  const model::Sighting& sighting = reading.cases.at(0).given;
  const model::DigestListsView lists;
  for (const engine::Field& field : engine::Fields()) {
    EXPECT_TRUE(field.read({sighting, lists}).known()) << field.name;
    const bool is_said = given.find(std::string(field.name) + ": ") != std::string::npos;
    const bool follows = field.name == "file_name" || field.name == "weights_approved";
    EXPECT_NE(is_said, follows) << field.name;
  }
  EXPECT_EQ(sighting.facts.parameters, 7'000'000'000U);
  EXPECT_EQ(sighting.digest.sha256->ToHex(), Hex('a'));
}

TEST(Cases, WhatIsNotGivenIsUnknownAndTheDigestVerified) {
  const CasesReading reading = ReadOne("", "verdict: allow");
  const model::Sighting& sighting = reading.cases.at(0).given;
  const model::DigestListsView lists;
  for (const engine::Field& field : engine::Fields()) {
    const bool is_known = !field.can_be_unknown || field.name == "sha256";
    EXPECT_EQ(field.read({sighting, lists}).known(), is_known) << field.name;
  }
  EXPECT_EQ(sighting.digest.state, model::DigestState::kVerified);
  EXPECT_EQ(reading.cases.at(0).time, kNow);
}

TEST(Cases, RisksHaveASeverityEachOrOneForAll) {
  const CasesReading reading =
      ReadOne("risk: [a, {id: b, severity: critical}], risk_severity: low", "verdict: allow");
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  const auto& risks = reading.cases.at(0).given.facts.risks;
  ASSERT_EQ(risks.size(), 2U);
  EXPECT_EQ(risks[0].severity, model::Severity::kLow);
  EXPECT_EQ(risks[1].severity, model::Severity::kCritical);
}

TEST(Cases, BringEntriesForThePolicysLists) {
  const CasesReading reading =
      Read("lists: {approved: [" + Hex('a') + ", 'weights:" + Hex('b') +
           "']}\ncases:\n- name: it\n  given: {format: pickle, sha256: " + Hex('a') +
           "}\n  expect: {verdict: allow, rule: approved}\n");
  EXPECT_EQ(reading.diagnostics.ToText(), "");
  ASSERT_EQ(reading.digests.size(), 2U);
  EXPECT_EQ(reading.digests[1].kind, model::ListKind::kApprovedWeights);
  const auto policy = MakePolicy(0, ReadText(kPolicy), reading.digests).value();
  EXPECT_EQ(RunCases(*policy, reading.cases).passed, 1U);
}

TEST(Cases, ThatAreWrongSayWhere) {
  EXPECT_THAT(DiagnosticsOfGiven("licence: mit"), HasSubstr("did you mean \"license\"?"));
  EXPECT_THAT(DiagnosticsOfGiven("file_name: x"), HasSubstr("give \"path\" instead"));
  EXPECT_THAT(DiagnosticsOfGiven("format: ggfu"), HasSubstr("did you mean \"gguf\"?"));
  EXPECT_THAT(DiagnosticsOfGiven("size: big"), HasSubstr("is no number"));
  EXPECT_THAT(DiagnosticsOfGiven("sha256: ab"), HasSubstr("is no digest"));
  EXPECT_THAT(DiagnosticsOfGiven("time: now"), HasSubstr("is no time"));
  EXPECT_THAT(DiagnosticsOfGiven("risk_severity: high"), HasSubstr("is of no risk"));
  EXPECT_THAT(DiagnosticsOfGiven("risk: [{severity: high}]"), HasSubstr("has no id"));
  EXPECT_THAT(DiagnosticsOfGiven("digest_state: pending, sha256: " + Hex('a')),
              HasSubstr("has no SHA-256"));
  EXPECT_THAT(ReadOne("", "rule: x").diagnostics.ToText(), HasSubstr("expects no verdict"));
  EXPECT_THAT(ReadOne("", "verdict: alow").diagnostics.ToText(), HasSubstr("\"allow\"?"));
  EXPECT_THAT(Read("cases: []\n").diagnostics.ToText(), HasSubstr("error: there are no cases"));
  EXPECT_THAT(Read("lists: {aproved: []}\ncases: []\n").diagnostics.ToText(),
              HasSubstr("did you mean \"approved\"?"));
  EXPECT_THAT(Read("lists: {denied: [{file: a.txt}]}\ncases: []\n").diagnostics.ToText(),
              HasSubstr("list files can't be read here"));
  const std::string one = "- {name: it, expect: {verdict: allow}}\n";
  EXPECT_THAT(Read("cases:\n" + one + one).diagnostics.ToText(),
              AllOf(HasSubstr("p.test.yaml:3:3: error: two cases have the name \"it\""),
                    HasSubstr("the first is at line 2")));
  EXPECT_THAT(Read("case: []\n").diagnostics.ToText(), HasSubstr("there are no cases"));
  EXPECT_THAT(Read("cases:\n- given: {}\n").diagnostics.ToText(), HasSubstr("has no name"));
  EXPECT_THAT(Read("- a\n").diagnostics.ToText(), HasSubstr("a file of cases must be a map"));
  EXPECT_THAT(Read("cases: [\n").diagnostics.ToText(), HasSubstr("error"));
}

}  // namespace
}  // namespace weighmaster::lang
