#include "agent/formats/coreml/coreml.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/formats/tensorflow/tf_saved_model.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

std::string Varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  return out + static_cast<char>(value);
}
std::string Number(int field, std::uint64_t value) {
  return Varint(static_cast<std::uint64_t>(field) * 8) + Varint(value);
}
std::string Field(int field, const std::string& content) {
  return Varint(static_cast<std::uint64_t>(field) * 8 + 2) + Varint(content.size()) + content;
}

std::string Feature(const std::string& name) {
  return Field(1, name) + Field(3, Field(5, Number(1, 3)));
}
std::string Description(const std::string& metadata = "") {
  return Field(2, Field(1, Feature("x")) + Field(10, Feature("y")) +
                      (metadata.empty() ? "" : Field(100, metadata)));
}
std::string Model(const std::string& kind, const std::string& metadata = "") {
  return Number(1, 5) + Description(metadata) + kind;
}
std::string Layer(int number, const std::string& params) {
  return Field(1, Field(1, "layer") + Field(2, "x") + Field(3, "y") + Field(number, params));
}
std::string Floats(std::size_t count) { return Field(1, std::string(4 * count, '\0')); }

// A MIL value that lies in a file of weights: `type` by MIL's number.
std::string Blob(const std::string& file, std::uint64_t offset, std::uint64_t type,
                 const std::vector<std::uint64_t>& extents) {
  std::string tensor = Number(1, type) + Number(2, extents.size());
  for (const std::uint64_t extent : extents) tensor += Field(3, Field(1, Number(1, extent)));
  return Field(2, Field(1, tensor)) + Field(5, Field(1, file) + Number(2, offset));
}
std::string Operation(const std::string& type, const std::string& more) {
  return Field(3, Field(1, type) + more);
}
std::string Constant(const std::string& value) {
  return Operation("const", Field(5, Field(1, "val") + Field(2, value)));
}
std::string Block(const std::string& operations) { return Field(2, "y") + operations; }
std::string Program(const std::string& operations) {
  const std::string function =
      Field(2, "CoreML5") + Field(3, Field(1, "CoreML5") + Field(2, Block(operations)));
  return Field(502, Number(1, 1) + Field(2, Field(1, "main") + Field(2, function)));
}

model::Facts Read(const std::string& bytes, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(bytes));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseCoreMl(source, budget, tensors);
}
FileEnds Ends(const std::string& bytes) {
  const base::ByteView view = base::AsBytes(bytes);
  const std::size_t head = std::min(view.size(), kSniffHeadBytes);
  const std::size_t tail = std::min(view.size(), kSniffTailBytes);
  return {view.first(head), view.last(tail), view.size()};
}
bool Looks(const std::string& bytes) { return LooksLikeCoreMl(Ends(bytes)); }

constexpr char kWeights[] = "@model_path/weights/weight.bin";

TEST(CoreMl, ReadsItsMetadata) {
  const std::string metadata = Field(1, "Tells cats from dogs") + Field(2, "1.0") +
                               Field(3, "An author") + Field(4, "MIT") +
                               Field(100, Field(1, "com.example.key") + Field(2, "value"));
  const std::string bytes = Model(Field(402, ""), metadata);
  ASSERT_TRUE(Looks(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kCoreMl);
  EXPECT_EQ(facts.name, "Tells cats from dogs");
  EXPECT_EQ(facts.license, "MIT");
  EXPECT_EQ(facts.architecture, "tree_ensemble_classifier");
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_EQ(Read(Model(Field(402, ""), Field(100, Field(1, "name") + Field(2, "Cats")))).name,
            "Cats");
}

TEST(CoreMl, CountsTheWeightsOfANetwork) {
  const std::string halves = Field(2, std::string(12, 'h'));
  const std::string quantized =
      Field(30, std::string(10, 'q')) + Field(40, Number(1, 4) + Field(101, ""));
  const std::string lstm = Field(20, Field(1, Floats(2)) + Field(40, Floats(3)));
  const std::string network =
      Layer(140, Number(1, 3) + Field(20, Floats(5)) + Field(21, Floats(1))) +
      Layer(100, Field(90, quantized) + Field(91, halves)) + Layer(430, lstm + lstm);
  const model::Facts facts = Read(Model(Field(500, network)));
  EXPECT_EQ(facts.architecture, "neural_network");
  EXPECT_EQ(facts.tensor_count, 8U);
  EXPECT_EQ(facts.parameters, 6U + 20U + 6U + 10U);
  EXPECT_EQ(facts.quantization, "U4");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(CoreMl, CountsFloatsThatAreNotPacked) {
  const std::string floats =
      "\x0d"
      "1234\x0d"
      "1234";
  EXPECT_EQ(Read(Model(Field(500, Layer(140, Field(20, floats))))).parameters, 2U);
}

TEST(CoreMl, CountsTheWeightsOfAProgram) {
  const std::string inner = Field(4, Block(Constant(Blob(kWeights, 512, 11, {7}))));
  const std::string bound = Operation(
      "matmul",
      Field(2, Field(1, "y") + Field(2, Field(1, Field(2, Blob(kWeights, 256, 10, {2, 3}))))));
  const model::Facts facts =
      Read(Model(Program(Constant(Blob(kWeights, 64, 10, {4, 5})) +
                         Constant(Blob(kWeights, 64, 10, {4, 5})) +  // the same again
                         bound + Operation("cond", inner))));
  EXPECT_EQ(facts.architecture, "ml_program");
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_EQ(facts.parameters, 20U + 6U + 7U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(CoreMl, TellsOfWeightsOutsideTheModel) {
  const auto with = [](const std::string& file) {
    return Read(Model(Program(Constant(Blob(file, 64, 10, {4})))));
  };
  EXPECT_TRUE(with("weights/weight.bin").risks.empty());
  for (const char* file : {"/etc/passwd", "@model_path/../../x", "../x", "@model_path//etc/x"}) {
    EXPECT_TRUE(HasRisk(with(file), "external_data_escapes", Severity::kHigh)) << file;
  }
}

TEST(CoreMl, TellsOfCustomLayersAndModels) {
  const model::Facts layer = Read(Model(Field(500, Layer(500, Field(10, "MyLayer")))));
  ASSERT_TRUE(HasRisk(layer, "custom_operators", Severity::kMedium));
  EXPECT_EQ(FindRisk(layer, "custom_operators")->evidence, "the custom layer MyLayer");
  const model::Facts custom = Read(Model(Field(555, Field(10, "MyModel"))));
  ASSERT_TRUE(HasRisk(custom, "custom_operators", Severity::kMedium));
  EXPECT_EQ(FindRisk(custom, "custom_operators")->evidence, "the custom model MyModel");
  const std::string text = Field(3, Field(1, Field(4, Field(1, "MyOp"))));
  const std::string name = Field(5, Field(1, "class_name") + Field(2, text));
  const model::Facts program = Read(Model(Program(Operation("custom_layer", name))));
  ASSERT_TRUE(HasRisk(program, "custom_operators", Severity::kMedium));
  EXPECT_EQ(FindRisk(program, "custom_operators")->evidence, "the custom layer MyOp");
}

TEST(CoreMl, LooksIntoPipelinesBranchesAndLoops) {
  const std::string layers = Layer(500, Field(10, "Deep"));
  const std::string branched = Layer(605, Field(2, Layer(615, Field(4, layers))));
  const std::string inner = Model(Field(500, branched));
  for (const std::string& kind :
       {Field(202, Field(1, inner)), Field(200, Field(1, Field(1, inner)))}) {
    EXPECT_TRUE(HasRisk(Read(Model(kind)), "custom_operators", Severity::kMedium));
  }
}

TEST(CoreMl, StopsAtModelsNestedWithoutEnd) {
  std::string model = Model(Field(900, ""));
  for (int i = 0; i < 2'000; ++i) model = Model(Field(202, Field(1, model)));
  EXPECT_TRUE(HasRisk(Read(model), "malformed", Severity::kHigh));
  std::string network = Layer(140, "");
  for (int i = 0; i < 2'000; ++i) network = Layer(605, Field(1, network));
  EXPECT_TRUE(HasRisk(Read(Model(Field(500, network))), "malformed", Severity::kHigh));
  std::string block = Block("");
  for (int i = 0; i < 2'000; ++i) block = Block(Operation("cond", Field(4, block)));
  EXPECT_TRUE(HasRisk(Read(Model(Program(Operation("cond", Field(4, block))))), "malformed",
                      Severity::kHigh));
}

TEST(CoreMl, TellsOfLinkedModelsElsewhere) {
  const auto with = [](const std::string& name, const std::string& path) {
    return Read(Model(Field(556, Field(1, Field(1, Field(1, name)) + Field(2, Field(1, path))))));
  };
  EXPECT_TRUE(with("Extractor.mlmodelc", "$BUNDLE_MAIN:models").risks.empty());
  EXPECT_TRUE(
      HasRisk(with("Extractor.mlmodelc", "models:/tmp"), "external_data_escapes", Severity::kHigh));
  EXPECT_TRUE(HasRisk(with("../x.mlmodelc", ""), "external_data_escapes", Severity::kHigh));
}

TEST(CoreMl, SaysWhatIsBroken) {
  const std::string quantized = Field(30, "q") + Field(40, Number(1, 77));
  EXPECT_TRUE(HasRisk(Read(Model(Field(500, Layer(140, Field(20, quantized))))), "malformed",
                      Severity::kHigh));
  std::string cut = Model(Field(500, Layer(140, Field(20, Floats(50)))));
  cut.resize(cut.size() - 30);
  ASSERT_TRUE(Looks(cut));
  EXPECT_EQ(Read(cut).format, Format::kCoreMl);
  EXPECT_TRUE(HasRisk(Read(cut), "malformed", Severity::kHigh));
  EXPECT_EQ(Read(Model(Program(Constant(Blob(kWeights, 64, 10, {1ULL << 63, 2}))))).parameters,
            std::nullopt);
}

TEST(CoreMl, SaysThatTheVersionIsNewer) {
  const std::string bytes = Number(1, 40) + Description() + Field(500, "");
  ASSERT_TRUE(Looks(bytes));
  EXPECT_TRUE(HasRisk(Read(bytes), "unsupported_version", Severity::kLow));
}

TEST(CoreMl, IsRecognisedByADescriptionThatGoesPastTheHead) {
  std::string description;
  while (description.size() < 6'000) description += Field(1, Feature("input"));
  const std::string bytes = Number(1, 5) + Field(2, description) + Field(500, "");
  EXPECT_TRUE(Looks(bytes));
  EXPECT_FALSE(LooksLikeTfSavedModel(Ends(bytes)));
}

TEST(CoreMl, IsNoOtherProtobuf) {
  EXPECT_FALSE(Looks(""));
  EXPECT_FALSE(Looks(Number(1, 8) + Field(2, "pytorch") + Field(7, Field(2, "graph"))));
  EXPECT_FALSE(Looks(Number(1, 5) + Description()));  // without a kind
  EXPECT_FALSE(Looks(Number(1, 5) + Field(500, "")));
  EXPECT_FALSE(Looks(Model(Field(7, "graph"))));
  EXPECT_FALSE(Looks(Number(1, 0) + Description() + Field(500, "")));
  EXPECT_FALSE(Looks(Number(1, 5) + Field(2, Field(1, "no feature")) + Field(500, "")));
  EXPECT_EQ(Read(Number(1, 5) + Field(500, "")).format, Format::kUnknown);
  EXPECT_EQ(Read(Model(Field(500, "") + Field(7, "x"))).format, Format::kUnknown);
}

TEST(CoreMl, EndsWithinItsBudget) {
  std::string operations;
  const std::string constant = Constant(Blob(kWeights, 64, 10, {4, 5}));
  while (operations.size() < 1'000'000) operations += constant;
  const model::Facts facts = Read(Model(Program(operations)), 5'000'000);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_EQ(facts.parameters, std::nullopt);
}

}  // namespace
}  // namespace weighmaster::agent::formats
