#include "agent/formats/packages/torchserve.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ZipOf;

const std::string kManifest =
    "{\"createdOn\": \"1\", \"model\": {\"modelName\": \"net\", \"handler\": "
    "\"image_classifier\"}}";

TEST(TorchServe, RaisesNothingForAHandlerOfItsOwn) {
  const model::Facts facts = ParseBytes(ZipOf({{"MAR-INF/MANIFEST.json", kManifest}}));
  EXPECT_EQ(facts.format, Format::kTorchServe);
  EXPECT_EQ(facts.name, "net");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(TorchServe, TellsOfTheCodeThatItCarries) {
  const std::string model(base::AsText(tests::ModelFixture("executes.pt")));
  const model::Facts facts = ParseBytes(ZipOf(
      {{"MAR-INF/MANIFEST.json", kManifest}, {"handler.py", "import os\n"}, {"net.pt", model}}));
  EXPECT_TRUE(HasRisk(facts, "python_code_inside", Severity::kMedium));
  EXPECT_TRUE(HasRisk(facts, "pickle_executes_code", Severity::kCritical));
  EXPECT_EQ(facts.tensor_count, ParseBytes(tests::ModelFixture("executes.pt")).tensor_count);
}

TEST(TorchServe, IsNoArchiveOfJava) {
  EXPECT_EQ(ParseBytes(ZipOf({{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0"}})).format,
            Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
