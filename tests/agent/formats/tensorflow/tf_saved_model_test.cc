#include "agent/formats/tensorflow/tf_saved_model.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/formats/coreml/coreml.h"
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

std::string Attribute(const std::string& key, const std::string& value) {
  return Field(5, Field(1, key) + Field(2, value));
}
std::string Node(const std::string& name, const std::string& operation,
                 const std::string& attributes = "") {
  return Field(1, Field(1, name) + Field(2, operation) + attributes);
}
std::string Variable(const std::string& name, std::uint64_t type,
                     const std::vector<std::uint64_t>& extents) {
  std::string shape;
  for (const std::uint64_t extent : extents) shape += Field(2, Number(1, extent));
  return Node(name, "VarHandleOp",
              Attribute("dtype", Number(6, type)) + Attribute("shape", Field(7, shape)));
}

// Operators, a tag and versions, as TensorFlow writes them.
std::string Info() {
  return Field(1, Field(2, Field(1, Field(1, "NoOp"))) + Field(4, "serve") + Field(5, "2.16.1") +
                      Field(6, "v2.16.1-0-g5bc9d26649c") + Number(7, 1));
}
std::string Graph(const std::string& nodes) { return Field(2, nodes + Field(4, Number(1, 1882))); }
std::string SavedModel(const std::string& meta_graph) {
  return Number(1, 1) + Field(2, meta_graph);
}

model::Facts Read(const std::string& bytes) {
  MemorySource source(base::AsBytes(bytes));
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseTfSavedModel(source, budget, tensors);
}
FileEnds Ends(const std::string& bytes) {
  const base::ByteView view = base::AsBytes(bytes);
  const std::size_t head = std::min(view.size(), kSniffHeadBytes);
  const std::size_t tail = std::min(view.size(), kSniffTailBytes);
  return {view.first(head), view.last(tail), view.size()};
}
bool Looks(const std::string& bytes) { return LooksLikeTfSavedModel(Ends(bytes)); }

TEST(TfSavedModel, CountsItsVariables) {
  const std::string bytes =
      SavedModel(Info() + Graph(Node("x", "Placeholder") + Variable("dense/kernel", 1, {8, 4}) +
                                Variable("dense/bias", 1, {4}) + Variable("step", 9, {})));
  ASSERT_TRUE(Looks(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kTfSavedModel);
  EXPECT_EQ(facts.parameters, 37U);
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(TfSavedModel, TellsOfTheMetaGraphWithMostTensors) {
  const std::string bytes =
      SavedModel(Info() + Graph(Variable("a", 1, {2}))) +
      Field(2, Info() + Graph(Variable("a", 1, {2}) + Variable("b", 19, {5})));
  EXPECT_EQ(Read(bytes).parameters, 7U);
  EXPECT_EQ(Read(bytes).quantization, "F16");
}

TEST(TfSavedModel, IsRecognisedWhereItsOperatorsGoPastTheHead) {
  std::string operators;
  while (operators.size() < 6'000) operators += Field(1, Field(1, "MatMul") + Field(2, "a"));
  const std::string bytes = SavedModel(Field(1, Field(2, operators) + Field(4, "serve")) +
                                       Graph(Node("x", "Placeholder")));
  EXPECT_TRUE(Looks(bytes));
  EXPECT_FALSE(LooksLikeCoreMl(Ends(bytes)));
}

TEST(TfSavedModel, IsRecognisedWithoutASchemaVersion) {
  EXPECT_TRUE(Looks(Field(2, Info() + Graph(Node("x", "Placeholder")))));
  EXPECT_TRUE(Looks(SavedModel(Graph(Node("x", "Placeholder")))));
}

TEST(TfSavedModel, TellsOfPythonInEveryMetaGraph) {
  const std::string bytes = SavedModel(Info() + Graph(Node("x", "Placeholder"))) +
                            Field(2, Info() + Graph(Node("call", "PyFunc")));
  EXPECT_TRUE(HasRisk(Read(bytes), "tf_executes_code", Severity::kCritical));
}

TEST(TfSavedModel, TakesTheSaverAndTheAssetsFromBehindTheGraph) {
  const std::string graph = Graph(Node("mine/save_it/RestoreV2", "RestoreV2") +
                                  Node("init", "InitializeTableFromTextFileV2"));
  const std::string saver =
      Field(3, Field(1, "mine/save_it/Const:0") + Field(3, "mine/save_it/all"));
  const std::string asset = Field(6, Field(1, Field(1, "Const:0")) + Field(2, "vocabulary.txt"));
  EXPECT_TRUE(Read(SavedModel(Info() + graph + saver + asset)).risks.empty());
  const model::Facts facts = Read(SavedModel(Info() + graph));
  EXPECT_EQ(facts.risks.size(), 2U);
  EXPECT_TRUE(HasRisk(facts, "tf_reaches_files", Severity::kMedium));
}

TEST(TfSavedModel, TellsOfAssetsOutsideItsFolder) {
  const auto with = [](const std::string& name) {
    return Read(SavedModel(Info() + Graph("") + Field(6, Field(2, name))));
  };
  EXPECT_TRUE(with("vocabulary.txt").risks.empty());
  for (const char* name : {"../../etc/passwd", "/etc/passwd"}) {
    EXPECT_TRUE(HasRisk(with(name), "external_data_escapes", Severity::kHigh)) << name;
  }
}

TEST(TfSavedModel, TellsOfLambdaLayersInTheMetadataOfKeras) {
  const auto with = [](const std::string& metadata) {
    const std::string object = Field(4, Field(1, "_tf_keras_layer") + Field(3, metadata));
    return Read(SavedModel(Info() + Graph("") + Field(7, Field(1, object))));
  };
  EXPECT_TRUE(HasRisk(with(R"({"name": "l", "class_name": "Lambda", "config": {}})"),
                      "keras_lambda", Severity::kHigh));
  EXPECT_TRUE(with(R"({"class_name": "Dense", "config": {"name": "Lambda"}})").risks.empty());
}

TEST(TfSavedModel, SaysThatTheVersionIsNewer) {
  const std::string bytes = Number(1, 2) + Field(2, Info() + Graph(""));
  EXPECT_TRUE(HasRisk(Read(bytes), "unsupported_version", Severity::kLow));
}

TEST(TfSavedModel, SaysThatItWasCutOff) {
  std::string bytes = SavedModel(Info() + Graph(Variable("a", 1, {2}) + Variable("b", 1, {2})));
  bytes.resize(bytes.size() - 20);
  ASSERT_TRUE(Looks(bytes));
  EXPECT_TRUE(HasRisk(Read(bytes), "malformed", Severity::kHigh));
  EXPECT_EQ(Read(bytes).format, Format::kTfSavedModel);
}

TEST(TfSavedModel, IsNoOtherProtobuf) {
  EXPECT_FALSE(Looks(""));
  EXPECT_FALSE(Looks(Number(1, 8) + Field(2, "pytorch") + Field(7, Field(2, "graph"))));
  EXPECT_FALSE(Looks(Number(1, 1) + Field(2, "a text")));
  EXPECT_FALSE(Looks(Number(1, 1) + Field(2, Field(1, Field(1, "name")))));
  // A Core ML model.
  EXPECT_FALSE(
      Looks(Number(1, 4) + Field(2, Field(1, Field(1, "input") + Field(3, Field(5, ""))))));
  EXPECT_FALSE(Looks(Number(1, 999) + Field(2, Info())));
  EXPECT_EQ(Read(Number(1, 1) + Field(3, "x")).format, Format::kUnknown);
  EXPECT_EQ(Read(Number(1, 1)).format, Format::kUnknown);
}

TEST(TfSavedModel, PassesOverWeights) {
  // A constant of 8 GB, in a file that is that long.
  const std::uint64_t weights = 8ULL << 30;
  std::string inner = Varint(4 * 8 + 2) + Varint(weights);  // TensorProto.tensor_content
  const auto wrap = [&](int field, const std::string& before) {
    const std::uint64_t length = inner.size() + weights;
    inner = before + Varint(static_cast<std::uint64_t>(field) * 8 + 2) + Varint(length) + inner;
  };
  wrap(8, "");
  wrap(2, Field(1, "value"));
  wrap(5, Field(1, "w") + Field(2, "Const"));
  wrap(1, "");
  wrap(2, Info());
  wrap(2, Number(1, 1));
  CountedSource source(base::AsBytes(inner), inner.size() + weights);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseTfSavedModel(source, budget, tensors);
  EXPECT_EQ(facts.format, Format::kTfSavedModel);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 200'000U);
}

}  // namespace
}  // namespace weighmaster::agent::formats
