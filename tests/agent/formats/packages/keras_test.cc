#include "agent/formats/packages/keras.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ZipOf;

model::Facts Parsed(const std::string& config) {
  return ParseBytes(ZipOf({{"metadata.json", "{\"keras_version\": \"3.8.0\"}"},
                           {"config.json", config},
                           {"model.weights.npz", ""}}));
}

TEST(Keras, IsToldByItsConfiguration) {
  const model::Facts facts = Parsed(
      "{\"module\": \"keras\", \"class_name\": \"Sequential\", \"config\": {\"name\": "
      "\"net\", \"layers\": []}, \"registered_name\": null}");
  EXPECT_EQ(facts.format, Format::kKeras);
  EXPECT_EQ(facts.architecture, "Sequential");
  EXPECT_EQ(facts.name, "net");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Keras, TellsWhatItsConfigurationCalls) {
  const model::Facts facts = Parsed(
      "{\"module\": \"os\", \"class_name\": \"system\", \"config\": {}, \"registered_name\": "
      "null}");
  ASSERT_TRUE(HasRisk(facts, "keras_foreign_module", Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, "keras_foreign_module")->evidence.rfind("config.json: ", 0), 0U);
}

TEST(Keras, IsNotEveryArchiveWithAConfiguration) {
  EXPECT_EQ(ParseBytes(ZipOf({{"config.json", "{}"}, {"main.js", ""}})).format, Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
