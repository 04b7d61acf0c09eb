#include "agent/formats/packages/skops.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ZipOf;

std::string Object(const std::string& module, const std::string& name, const std::string& content) {
  return "{\"__class__\": \"" + name + "\", \"__module__\": \"" + module +
         "\", \"__loader__\": \"ObjectNode\", \"content\": " + content + "}";
}

model::Facts Parsed(const std::string& schema) {
  return ParseBytes(ZipOf({{"schema.json", schema}}));
}

TEST(Skops, RaisesNothingForAnEstimator) {
  const model::Facts facts = Parsed(Object(
      "sklearn.pipeline", "Pipeline",
      Object("builtins", "dict",
             "{\"steps\": " + Object("sklearn.linear_model._logistic", "LogisticRegression", "{}") +
                 ", \"array\": " + Object("numpy", "ndarray", "\"1.npy\"") + "}")));
  EXPECT_EQ(facts.format, Format::kSkops);
  EXPECT_EQ(facts.architecture, "Pipeline");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Skops, GradesEveryClassThatItNames) {
  const struct {
    const char* module;
    const char* name;
    Severity severity;
  } named[] = {{"os", "system", Severity::kCritical},
               {"builtins", "eval", Severity::kCritical},
               {"operator", "methodcaller", Severity::kCritical},
               {"shutil", "rmtree", Severity::kHigh},
               {"company.models", "Estimator", Severity::kMedium}};
  for (const auto& [module, name, severity] : named) {
    const model::Facts facts =
        Parsed(Object("sklearn.pipeline", "Pipeline", Object(module, name, "{}")));
    ASSERT_TRUE(HasRisk(facts, "config_names_code", severity)) << module;
    EXPECT_EQ(FindRisk(facts, "config_names_code")->evidence,
              std::string("schema.json: ") + module + "." + name);
  }
}

TEST(Skops, GradesTheFunctionsOfFunctionNodes) {
  EXPECT_TRUE(HasRisk(
      Parsed(Object("numpy", "ufunc", "{\"module_path\": \"os\", \"function\": \"system\"}")),
      "config_names_code", Severity::kCritical));
}

TEST(Skops, IsNotJudgedCleanWhereItCannotBeRead) {
  EXPECT_TRUE(HasRisk(Parsed("{\"__class__\": \"A\", \"__module__\": \"sklearn\""), "opaque",
                      Severity::kHigh));
}

TEST(Skops, IsNotEveryArchiveWithASchema) {
  EXPECT_EQ(Parsed("{\"$schema\": \"https://json-schema.org/draft-07/schema\"}").format,
            Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
