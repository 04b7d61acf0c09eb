#include "policy/lang/lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Lists(const std::string& blocked, const std::string& denied,
                  const std::string& approved) {
  return "policy: p\nlists:\n  blocked: [" + blocked + "]\n  denied: [" + denied +
         "]\n  approved: [" + approved + "]\n";
}

TEST(Lint, ADigestBothDeniedAndApprovedIsAnError) {
  EXPECT_THAT(DiagnosticsOf(Lists("", Hex('a'), Hex('a'))),
              AllOf(HasSubstr("policy.yaml:5:14: error:"), HasSubstr("both denied and approved"),
                    HasSubstr("policy.yaml:4")));
}

TEST(Lint, ADigestTwiceOnOneListIsAWarning) {
  EXPECT_THAT(DiagnosticsOf(Lists("", Hex('a') + ", sha256:" + Hex('A'), "")),
              HasSubstr("warning: \"" + Hex('a') + "\" stands twice on the denied list"));
}

TEST(Lint, ABlockedDigestMayStayApprovedWithAWarning) {
  const std::string text = DiagnosticsOf(Lists(Hex('a'), "", Hex('a')));
  EXPECT_THAT(text, HasSubstr("blocked list, which decides first"));
  EXPECT_THAT(text, Not(HasSubstr("error:")));
}

TEST(Lint, AConflictAcrossFilesNamesBothPlaces) {
  EXPECT_THAT(DiagnosticsOf(Lists("", "{file: d.txt}", "{file: a.txt}"),
                            {{"d.txt", "\n" + Hex('a')}, {"a.txt", "\n\n" + Hex('a')}}),
              AllOf(HasSubstr("a.txt:3:1: error:"), HasSubstr("d.txt:2")));
}

TEST(Lint, ARuleAfterOneForEverythingIsNeverReached) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: all, then: allow}\n"
                            "- {id: late, then: allow, when: {format: gguf}}\n"),
              AllOf(HasSubstr("policy.yaml:4:3: warning: rule \"late\" is never reached"),
                    HasSubstr("rule \"all\" at line 3")));
}

TEST(Lint, AnAlwaysRuleForEverythingHidesEarlierOnesToo) {
  const std::string text = DiagnosticsOf("policy: p\nlists: {approved: [" + Hex('a') +
                                         "]}\nrules:\n"
                                         "- {id: early, then: allow, when: {format: gguf}}\n"
                                         "- {id: all, then: allow, always: true}\n");
  EXPECT_THAT(text, HasSubstr("\"early\" is never reached"));
  EXPECT_THAT(text, HasSubstr("the approved list is never reached"));
}

TEST(Lint, AnOrdinaryRuleForEverythingDoesNotHideAlwaysRules) {
  EXPECT_EQ(DiagnosticsOf("policy: p\nrules:\n- {id: all, then: allow}\n"
                          "- {id: late, then: allow, always: true, when: {format: gguf}}\n"),
            "");
}

TEST(Lint, ARuleWhoseConditionIsWrongHidesNothing) {
  EXPECT_THAT(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, when: {colour: red}}\n"
                            "- {id: b, then: allow, when: {format: gguf}}\n"),
              Not(HasSubstr("never reached")));
}

TEST(Lint, ANotOverAFieldThatCanBeUnknownIsAWarning) {
  EXPECT_THAT(ConditionDiagnostics("{not: {license: mit}}"),
              AllOf(HasSubstr("policy.yaml:5:10: warning: where \"license\" is not known"),
                    HasSubstr("when_unknown: fire")));
  EXPECT_THAT(ConditionDiagnostics("{all: [{format: gguf}, {not: {any: [{name: x}, {size: "
                                   "{at_least: 1}}]}}]}"),
              HasSubstr("policy.yaml:5:33: warning: where \"name\""));
}

TEST(Lint, ANotOverWhatIsAlwaysKnownIsFine) {
  EXPECT_EQ(ConditionDiagnostics("{not: {format: pickle}}"), "");
  EXPECT_EQ(ConditionDiagnostics("{not: {license: {known: true}}}"), "");
}

TEST(Lint, ANotUnderAnAllThatRequiresTheFieldIsFine) {
  EXPECT_EQ(ConditionDiagnostics("{all: [{license: {known: true}}, {not: {license: mit}}]}"), "");
  EXPECT_THAT(ConditionDiagnostics("{any: [{license: {known: true}}, {not: {license: mit}}]}"),
              HasSubstr("warning:"));
}

TEST(Lint, ARuleThatSaysWhatToDoWhenUnknownIsFine) {
  for (const char* const choice : {"fire", "skip"}) {
    EXPECT_EQ(DiagnosticsOf("policy: p\nrules:\n- {id: a, then: allow, when_unknown: " +
                            std::string(choice) + ", when: {not: {license: mit}}}\n"),
              "");
  }
}

}  // namespace
}  // namespace weighmaster::lang
