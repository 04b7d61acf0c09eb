#include "policy/lang/condition/condition_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

using model::Condition;
using model::Operator;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Conditions, ATextAloneMeansIs) {
  const Condition condition = ConditionOf("{format: pickle}");
  EXPECT_EQ(condition.kind, Condition::Kind::kTest);
  EXPECT_EQ(condition.test.field, "format");
  EXPECT_EQ(condition.test.op, Operator::kEquals);
  EXPECT_THAT(condition.test.texts, ElementsAre("pickle"));
}

TEST(Conditions, AListAloneMeansIsOneOf) {
  EXPECT_THAT(ConditionOf("{format: [pickle, pytorch_zip]}").test.texts,
              ElementsAre("pickle", "pytorch_zip"));
}

TEST(Conditions, EveryOperatorIsRead) {
  EXPECT_EQ(ConditionOf("{path: {glob: \"/tmp/**\"}}").test.op, Operator::kGlob);
  EXPECT_EQ(ConditionOf("{name: {contains: x}}").test.op, Operator::kContains);
  EXPECT_EQ(ConditionOf("{license: {is: [mit]}}").test.op, Operator::kEquals);
  EXPECT_EQ(ConditionOf("{size: {at_least: 1GiB}}").test.number, 1073741824U);
  EXPECT_EQ(ConditionOf("{parameters: {at_most: 7B}}").test.number, 7'000'000'000U);
  EXPECT_EQ(ConditionOf("{risk_severity: {at_least: high}}").test.number, 4U);
  EXPECT_EQ(ConditionOf("{license: {known: false}}").test.number, 0U);
  EXPECT_EQ(ConditionOf("{license: {known: true}}").test.number, 1U);
}

TEST(Conditions, SeveralEntriesMustAllHold) {
  const Condition two_fields = ConditionOf("{format: gguf, name: x}");
  EXPECT_EQ(two_fields.kind, Condition::Kind::kAll);
  EXPECT_EQ(two_fields.conditions.size(), 2U);
  const Condition two_operators = ConditionOf("{size: {at_least: 1, at_most: 2}}");
  EXPECT_EQ(two_operators.kind, Condition::Kind::kAll);
  EXPECT_EQ(two_operators.conditions[1].test.op, Operator::kAtMost);
}

TEST(Conditions, AllAnyAndNotNest) {
  const Condition condition =
      ConditionOf("{any: [{all: [{format: gguf}, {format: onnx}]}, {not: {format: pickle}}]}");
  EXPECT_EQ(condition.kind, Condition::Kind::kAny);
  EXPECT_EQ(condition.conditions[0].kind, Condition::Kind::kAll);
  EXPECT_EQ(condition.conditions[1].kind, Condition::Kind::kNot);
  EXPECT_EQ(condition.conditions[1].conditions[0].test.field, "format");
}

TEST(Conditions, AnUnknownFieldNamesTheNearest) {
  EXPECT_THAT(ConditionDiagnostics("{licence: mit}"),
              AllOf(HasSubstr("policy.yaml:5:10: error: there is no field \"licence\""),
                    HasSubstr("hint: did you mean \"license\"?")));
}

TEST(Conditions, AnUnknownOrUnfitOperatorNamesThoseThatFit) {
  EXPECT_THAT(ConditionDiagnostics("{license: {globs: x}}"), HasSubstr("did you mean \"glob\"?"));
  EXPECT_THAT(ConditionDiagnostics("{size: {glob: x}}"),
              AllOf(HasSubstr("\"glob\" does not fit the field \"size\", which is a number"),
                    HasSubstr("at_least, at_most, known")));
  EXPECT_THAT(ConditionDiagnostics("{size: 1GiB}"), HasSubstr("does not fit"));
}

TEST(Conditions, ANumberThatCanNotBeReadSaysHowToWriteOne) {
  EXPECT_THAT(
      ConditionDiagnostics("{size: {at_least: 1G}}"),
      AllOf(HasSubstr("policy.yaml:5:27: error: \"1G\" is no number"), HasSubstr("1.5GiB")));
}

TEST(Conditions, AValueThatAFieldNeverHasIsRefused) {
  EXPECT_THAT(ConditionDiagnostics("{format: picle}"), HasSubstr("did you mean \"pickle\"?"));
  EXPECT_THAT(ConditionDiagnostics("{risk_severity: {at_least: sever}}"),
              HasSubstr("never \"sever\""));
  EXPECT_EQ(ConditionDiagnostics("{format: GGUF}"), "");
}

TEST(Conditions, EmptyThingsAreRefused) {
  for (const char* const condition :
       {"{}", "{all: []}", "{any: []}", "{not: {}}", "{name: {}}", "{name: []}", "{name: \"\"}",
        "{name: }", "{name: {is: }}", "~"}) {
    EXPECT_THAT(ConditionDiagnostics(condition), HasSubstr("error:")) << condition;
  }
}

TEST(Conditions, WrongTypesAreRefused) {
  for (const char* const condition :
       {"x", "[a]", "{all: {format: gguf}}", "{not: [x]}", "{name: [[a]]}", "{name: {is: {a: b}}}",
        "{license: {known: \"true\"}}", "{license: {known: yes}}", "{size: {at_least: [1]}}"}) {
    EXPECT_THAT(ConditionDiagnostics(condition), HasSubstr("error:")) << condition;
  }
}

TEST(Conditions, AStarUnderIsIsAWarning) {
  EXPECT_THAT(ConditionDiagnostics("{name: \"llama*\"}"), HasSubstr("{glob: \"llama*\"}"));
}

TEST(Conditions, APathThatBeginsNowhereIsAWarning) {
  EXPECT_THAT(ConditionDiagnostics("{path: {glob: [\"/tmp/**\", \"*.gguf\"]}}"),
              AllOf(HasSubstr("policy.yaml:5:35: warning: no \"path\" passes {glob: \"*.gguf\"}"),
                    HasSubstr("write {glob: \"**/*.gguf\"}")));
  EXPECT_THAT(ConditionDiagnostics("{path: {glob: \"~/models/**\"}}"),
              HasSubstr("write the folder out"));
  EXPECT_THAT(ConditionDiagnostics("{path: \"models/foo\"}"),
              AllOf(HasSubstr("warning: no \"path\" passes {is: \"models/foo\"}"),
                    HasSubstr("\"file_name\"")));
  for (const char* const fine :
       {"{path: {glob: \"**/*.gguf\"}}", "{path: {glob: \"*/a\"}}", "{path: /tmp/a}",
        "{path: {glob: \"?:/models/**\"}}", "{path: \"C:/a\"}", "{path: {contains: a/b}}"}) {
    EXPECT_EQ(ConditionDiagnostics(fine), "") << fine;
  }
}

TEST(Conditions, AFileNameWithAFolderIsAWarning) {
  for (const char* const when : {"{file_name: \"a/b\"}", "{file_name: {glob: \"**/a/*.gguf\"}}",
                                 "{file_name: {contains: /}}"}) {
    EXPECT_THAT(ConditionDiagnostics(when), HasSubstr("warning: no \"file_name\" passes")) << when;
  }
  EXPECT_EQ(ConditionDiagnostics("{file_name: {glob: \"**/*.gguf\"}}"), "");
}

TEST(Conditions, APatternThatNoneOfAFieldsValuesPassesIsAWarning) {
  EXPECT_THAT(ConditionDiagnostics("{format: {glob: \"xyz*\"}}"),
              AllOf(HasSubstr("warning: no \"format\" passes {glob: \"xyz*\"}"),
                    HasSubstr("known values: gguf")));
  EXPECT_THAT(ConditionDiagnostics("{digest_state: {contains: xyz}}"), HasSubstr("warning:"));
  EXPECT_EQ(ConditionDiagnostics("{format: {glob: \"P*\"}}"), "");
  EXPECT_EQ(ConditionDiagnostics("{format: {contains: TENSORS}}"), "");
}

TEST(Conditions, ARiskThatNobodyKnowsIsAWarningWithTheNearest) {
  EXPECT_THAT(ConditionDiagnostics("{risk: pickle_execute_code}"),
              AllOf(HasSubstr("warning: no known risk passes {is: \"pickle_execute_code\"}"),
                    HasSubstr("did you mean \"pickle_executes_code\"?")));
  EXPECT_THAT(ConditionDiagnostics("{risk: {glob: \"pickel_*\"}}"), HasSubstr("warning:"));
  EXPECT_EQ(ConditionDiagnostics("{risk: [MALFORMED, opaque]}"), "");
  EXPECT_EQ(ConditionDiagnostics("{risk: {glob: \"pickle_*\"}}"), "");
}

TEST(Conditions, AskingWhetherAnAlwaysKnownFieldIsKnownIsAWarning) {
  EXPECT_THAT(ConditionDiagnostics("{size: {known: true}}"), HasSubstr("warning:"));
}

TEST(Conditions, DepthHasALimit) {
  std::string condition = "{format: gguf}";
  for (int depth = 1; depth < 16; ++depth) condition = "{not: " + condition + "}";
  EXPECT_EQ(ConditionDiagnostics(condition), "");
  EXPECT_THAT(ConditionDiagnostics("{not: " + condition + "}"), HasSubstr("nested deeper than 16"));
}

TEST(Conditions, AllThatIsWrongIsReportedAtOnce) {
  EXPECT_THAT(ConditionDiagnostics("{all: [{colour: red}, {size: {at_least: x}}, {format: y}]}"),
              AllOf(HasSubstr("colour"), HasSubstr("\"x\""), HasSubstr("\"y\"")));
}

}  // namespace
}  // namespace weighmaster::lang
