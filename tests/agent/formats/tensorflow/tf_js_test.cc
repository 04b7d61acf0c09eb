#include "agent/formats/tensorflow/tf_js.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

model::Facts Read(const std::string& text, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseTfJs(source, budget, tensors);
}
bool Looks(const std::string& text) {
  return LooksLikeTfJs({base::AsBytes(text), {}, text.size()});
}

std::string Manifest(const std::string& weights, const std::string& path = "group1-shard1of1.bin") {
  return R"("weightsManifest":[{"paths":[")" + path + R"("],"weights":[)" + weights + "]}]";
}
constexpr char kTopology[] =
    R"("modelTopology":{"keras_version":"2.15.0","model_config":{"class_name":"Sequential",)"
    R"("config":{"name":"digits","layers":[{"class_name":"Dense","config":{"name":"d"}}]}}})";
constexpr char kKernel[] = R"({"name":"d/kernel","shape":[3,4],"dtype":"float32"})";

TEST(TfJs, ReadsWhatItSaysOfItsWeights) {
  const std::string text =
      R"({"format":"layers-model","generatedBy":"keras v2.15.0",)" + std::string(kTopology) + "," +
      Manifest(std::string(kKernel) +
               R"(,{"name":"q","shape":[50],"dtype":"float32","quantization":)"
               R"({"dtype":"uint8","min":-1.5,"scale":0.1,"original_dtype":"float32"}})"
               R"(,{"name":"vocabulary","shape":[9],"dtype":"string"})"
               R"(,{"name":"scalar","shape":[],"dtype":"int32"})") +
      "}";
  ASSERT_TRUE(Looks(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kTfJs);
  EXPECT_EQ(facts.name, "digits");
  EXPECT_EQ(facts.architecture, "Sequential");
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_EQ(facts.parameters, 12U + 50U + 1U);
  EXPECT_EQ(facts.quantization, "U8");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(TfJs, ReadsAGraph) {
  const std::string text =
      R"({"modelTopology":{"node":[{"name":"x","op":"Placeholder"}],"versions":{}},)" +
      Manifest(kKernel) + "}";
  ASSERT_TRUE(Looks(text));
  EXPECT_EQ(Read(text).format, Format::kTfJs);
  EXPECT_EQ(Read(text).name, "");
  EXPECT_EQ(Read(text).parameters, 12U);
}

TEST(TfJs, TellsOfLambdaLayers) {
  const std::string layer = R"({"class_name":"Lambda","config":{"function":["4wEA",null,null]}})";
  const std::string text =
      R"({"modelTopology":{"model_config":{"class_name":"Sequential","config":)"
      R"({"layers":[)" +
      layer + "]}}}," + Manifest("") + "}";
  EXPECT_TRUE(HasRisk(Read(text), "keras_lambda", Severity::kHigh));
}

TEST(TfJs, TellsOfWeightsOutsideItsFolder) {
  const auto with = [](const std::string& path) {
    return Read("{" + std::string(kTopology) + "," + Manifest(kKernel, path) + "}");
  };
  EXPECT_TRUE(with("weights/a.bin").risks.empty());
  for (const char* path : {"../a.bin", "/etc/passwd", "a/../../b"}) {
    EXPECT_TRUE(HasRisk(with(path), "external_data_escapes", Severity::kHigh)) << path;
  }
}

TEST(TfJs, SaysThatItWasCutOff) {
  std::string text = "{" + std::string(kTopology) + "," + Manifest(kKernel) + "}";
  text.resize(text.size() - 10);
  EXPECT_EQ(Read(text).format, Format::kTfJs);
  EXPECT_TRUE(HasRisk(Read(text), "malformed", Severity::kHigh));
  EXPECT_EQ(Read(text).parameters, std::nullopt);
}

TEST(TfJs, SaysThatTheManifestIsNone) {
  for (const char* weight : {"7", R"({"shape":[-1]})", R"({"shape":["x"]})", R"(["shape"])"}) {
    const model::Facts facts = Read("{" + std::string(kTopology) + "," + Manifest(weight) + "}");
    EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << weight;
  }
  const std::string huge = R"({"shape":[9999999999999,9999999999999],"dtype":"float32"})";
  const model::Facts facts = Read("{" + std::string(kTopology) + "," + Manifest(huge) + "}");
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_EQ(facts.tensor_count, 1U);
}

TEST(TfJs, IsRecognisedByAKeyOfTheOuterObject) {
  EXPECT_TRUE(Looks(" \n{ \"format\" : \"graph-model\", \"x\": 1}"));
  EXPECT_TRUE(Looks(R"({"a":{"b":[1,"}"]},"modelTopology":{)"));
  EXPECT_TRUE(Looks(R"({"weightsManifest":[)"));
  EXPECT_FALSE(Looks(""));
  EXPECT_FALSE(Looks("{}"));
  EXPECT_FALSE(Looks(R"(["modelTopology"])"));
  EXPECT_FALSE(Looks(R"({"a":{"modelTopology":{}}})"));
  EXPECT_FALSE(Looks(R"({"a":"modelTopology"})"));
  EXPECT_FALSE(Looks(R"({"modelTopology":"a text"})"));
  EXPECT_FALSE(Looks(R"({"format":"esm","modelTopology\u0000":{}})"));
  EXPECT_FALSE(Looks(R"({"a":"\"modelTopology\":{"})"));
  EXPECT_FALSE(Looks(R"({}{"modelTopology":{}})"));
  EXPECT_FALSE(Looks("{\"a\":\"" + std::string(5'000, 'x') + "\",\"modelTopology\":{}}"));
}

TEST(TfJs, IsNoOtherJson) {
  EXPECT_EQ(Read(R"({"format":"graph-model"})").format, Format::kUnknown);
  EXPECT_EQ(Read(R"({"modelTopology":{}})").format, Format::kUnknown);
  EXPECT_EQ(Read(R"({"weightsManifest":"x","modelTopology":[]})").format, Format::kUnknown);
  EXPECT_EQ(Read(R"({"format":"graph-model")").format, Format::kUnknown);
  EXPECT_EQ(Read("[]").format, Format::kUnknown);
}

TEST(TfJs, EndsWithinItsBudget) {
  std::string weights = kKernel;
  while (weights.size() < 1'000'000) weights += "," + std::string(kKernel);
  const std::string text = "{" + std::string(kTopology) + "," + Manifest(weights) + "}";
  EXPECT_TRUE(HasRisk(Read(text, 2'000'000), "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
