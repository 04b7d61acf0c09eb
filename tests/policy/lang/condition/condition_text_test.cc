#include "policy/lang/condition/condition_text.h"

#include <gtest/gtest.h>

#include "tests/policy/lang/reading.h"

namespace weighmaster::lang {
namespace {

TEST(ConditionText, IsWhatADocumentWrites) {
  for (const std::string& text : {
           std::string("{license: mit}"),
           std::string("{license: [mit, apache-2.0]}"),
           std::string("{size: {at_least: 1 GiB}}"),
           std::string("{parameters: {at_most: 7B}}"),
           std::string("{risk_severity: {at_least: high}}"),
           std::string("{name: {known: false}}"),
           std::string("{weights_approved: true}"),
           std::string("{path: {glob: [\"/tmp/**\", \"*.bin\"]}}"),
           std::string("{name: {contains: \"a, b\"}}"),
           std::string("{all: [{format: gguf}, {not: {any: [{name: x}, {owner: \"true\"}]}}]}"),
           "{sha256: " + Hex('a') + "}",
       }) {
    EXPECT_EQ(ConditionText(ConditionOf(text)), text);
  }
  EXPECT_EQ(ConditionText({}), "everything");
}

TEST(ConditionText, IsReadAsTheSameConditionWhateverTheTexts) {
  for (const std::string text : {"a: b",
                                 "#",
                                 "\"",
                                 "\\",
                                 "\t",
                                 "{x}",
                                 "[x]",
                                 "- x",
                                 "&x",
                                 "*x",
                                 "!x",
                                 "%x",
                                 "@x",
                                 "`x",
                                 "null",
                                 "~",
                                 "1e3",
                                 "m\xc3\xb6"
                                 "del",
                                 "'",
                                 " x "}) {
    model::Condition condition;
    condition.kind = model::Condition::Kind::kTest;
    condition.test = {"name", model::Operator::kContains, {text, "y"}, 0};
    EXPECT_EQ(ConditionOf(ConditionText(condition)), condition) << text;
  }
}

}  // namespace
}  // namespace weighmaster::lang
