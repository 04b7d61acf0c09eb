#include "agent/formats/coreml/coreml_compiled.h"

#include <gtest/gtest.h>

#include <string>

#include "agent/formats/reading/cursor.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

constexpr char kBegin[] =
    "program(1.3)\n[buildInfo = dict<string, string>({{\"coremlc-component-MIL\", "
    "\"3405.2.1\"}})]\n"
    "{\n    func main<ios18>(tensor<fp16, [1, 10]> x) {\n";
constexpr char kEnd[] = "        } -> (y);\n}\n";

std::string Constant(const std::string& type, const std::string& path, int offset) {
  return "            " + type + " w = const()[name = string(\"w\"), val = " + type +
         "(BLOBFILE(path = string(\"" + path + "\"), offset = uint64(" + std::to_string(offset) +
         ")))];\n";
}
std::string Program(const std::string& body) { return kBegin + body + kEnd; }

model::Facts Read(const std::string& text, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseCoreMlCompiled(source, budget, tensors);
}
bool Looks(const std::string& text) {
  return LooksLikeCoreMlCompiled({base::AsBytes(text), {}, text.size()});
}

constexpr char kWeights[] = "@model_path/weights/weight.bin";

TEST(CoreMlCompiled, CountsTheWeightsThatItNames) {
  const std::string text = Program(Constant("tensor<fp16, [4, 3]>", kWeights, 64) +
                                   Constant("tensor<int8, [2]>", kWeights, 256) +
                                   Constant("tensor<fp16, []>", kWeights, 320) +
                                   Constant("tensor<fp16, [4, 3]>", kWeights, 64));
  ASSERT_TRUE(Looks(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kCoreMlCompiled);
  EXPECT_EQ(facts.architecture, "ml_program");
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_EQ(facts.parameters, 12U + 2U + 1U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(CoreMlCompiled, ReadsTheOlderSpelling) {
  const std::string text =
      "program(1.0)\n[buildInfo = dict<tensor<string, []>, tensor<string, []>>({})]\n{\n"
      "    func main<ios16>(tensor<fp32, [1]> x) {\n"
      "            tensor<fp32, [5]> w = const()[val = tensor<fp32, [5]>(BLOBFILE(path = "
      "tensor<string, []>(\"@model_path/weights/weight.bin\"), offset = tensor<uint64, "
      "[]>(64)))];\n"
      "            tensor<fp32, [6]> v = const()[val = tensor<fp32, [6]>(BLOBFILE(path = "
      "tensor<string, []>(\"@model_path/weights/weight.bin\"), offset = tensor<uint64, "
      "[]>(128)))];\n"
      "        } -> (y);\n}";
  ASSERT_TRUE(Looks(text));
  EXPECT_EQ(Read(text).parameters, 11U);
  EXPECT_TRUE(Read(text).risks.empty());
}

TEST(CoreMlCompiled, FindsWeightsAcrossTheEndsOfWhatItReadsAtOnce) {
  const std::string constant = Constant("tensor<fp16, [7]>", kWeights, 64);
  const std::size_t at = Program(constant).find("BLOBFILE(");
  for (std::size_t back = 0; back < 30; ++back) {
    const std::string blanks(Cursor::kPeekBytes - at - back, '\n');
    const model::Facts facts = Read(Program(blanks + constant));
    EXPECT_EQ(facts.tensor_count, 1U) << back;
    EXPECT_EQ(facts.parameters, 7U) << back;
  }
}

TEST(CoreMlCompiled, TellsOfWeightsOutsideTheModel) {
  const auto with = [](const std::string& path) {
    return Read(Program(Constant("tensor<fp16, [1]>", path, 64)));
  };
  EXPECT_TRUE(with("weights/weight.bin").risks.empty());
  for (const char* path : {"/etc/passwd", "@model_path/../x", "../../x"}) {
    EXPECT_TRUE(HasRisk(with(path), "external_data_escapes", Severity::kHigh)) << path;
  }
}

TEST(CoreMlCompiled, TellsOfCustomLayers) {
  EXPECT_TRUE(HasRisk(Read(Program("tensor<fp16, [1]> y = custom_layer(x = x)[];\n")),
                      "custom_operators", Severity::kMedium));
  EXPECT_TRUE(Read(Program("tensor<fp16, [1]> y = my_custom_layer(x = x)[];\n")).risks.empty());
}

TEST(CoreMlCompiled, SaysThatItWasCutOff) {
  std::string text = Program(Constant("tensor<fp16, [1]>", kWeights, 64));
  text.resize(text.size() - 4);
  ASSERT_TRUE(Looks(text));
  EXPECT_TRUE(HasRisk(Read(text), "malformed", Severity::kHigh));
  EXPECT_TRUE(HasRisk(Read(Program("tensor<fp16, [1]>(BLOBFILE(path = string(x)")), "malformed",
                      Severity::kHigh));
}

TEST(CoreMlCompiled, GivesNoCountThatItCanNotRead) {
  EXPECT_EQ(Read(Program(Constant("tensor<fp16, [?, 3]>", kWeights, 64))).parameters, std::nullopt);
  EXPECT_EQ(
      Read(Program(Constant("tensor<fp16, [4294967296, 4294967296]>", kWeights, 64))).parameters,
      std::nullopt);
}

TEST(CoreMlCompiled, IsNoOtherText) {
  for (const char* text :
       {"", "program", "program(1.0", "program(1.0)", "program(x) {\n func f", "program(1)\n{",
        "program(1.0)\n", "program(1.0)\n# a script", "program(1.0)\n{\n  int main() {"}) {
    EXPECT_FALSE(Looks(text)) << text;
  }
  EXPECT_TRUE(Looks("program(1.0)\n{\n    func main<ios15>("));
}

TEST(CoreMlCompiled, EndsWithinItsBudget) {
  std::string text = kBegin;
  while (text.size() < 1'000'000) text += "(BLOBFILE(path = \"x\"";
  EXPECT_TRUE(HasRisk(Read(text, 20'000'000), "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
