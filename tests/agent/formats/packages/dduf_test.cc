#include "agent/formats/packages/dduf.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ZipFileMember;

const std::string kIndex = "{\"_class_name\": \"FluxPipeline\", \"vae\": [\"diffusers\", \"A\"]}";

std::vector<ZipFileMember> Pipeline() {
  const std::string weights(base::AsText(tests::SafetensorsFile(
      R"({"a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}})", 12)));
  ZipFileMember index;
  index.name = "model_index.json";
  index.content = kIndex;
  ZipFileMember vae;
  vae.name = "vae/diffusion_pytorch_model.safetensors";
  vae.content = weights;
  return {index, vae};
}

TEST(Dduf, SumsUpItsWeights) {
  const model::Facts facts = ParseBytes(tests::ZipFile(Pipeline()));
  EXPECT_EQ(facts.format, Format::kDduf);
  EXPECT_EQ(facts.architecture, "FluxPipeline");
  EXPECT_EQ(facts.tensor_count, 1U);
  EXPECT_EQ(facts.parameters, 6U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Dduf, TellsWhatIsWrongWithAMember) {
  std::vector<ZipFileMember> members = Pipeline();
  members[1].content.resize(members[1].content.size() - 1);
  const model::Facts facts = ParseBytes(tests::ZipFile(members));
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_EQ(FindRisk(facts, "malformed")->evidence.rfind(members[1].name + ": ", 0), 0U);
}

TEST(Dduf, TellsOfAMemberThatIsCompressed) {
  std::vector<ZipFileMember> members = Pipeline();
  members[1].method = 8;
  EXPECT_TRUE(HasRisk(ParseBytes(tests::ZipFile(members)), "malformed", Severity::kHigh));
}

TEST(Dduf, IsNotEveryArchiveWithAnIndex) {
  EXPECT_EQ(ParseBytes(tests::ZipOf({{"model_index.json", "{\"models\": []}"}})).format,
            Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
