#include "agent/formats/graphs/onnx.h"

#include <gtest/gtest.h>

#include "agent/formats/tensors/tensor_map.h"
#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

// One length-delimited field.
std::string Field(int number, const std::string& content) {
  std::string out(1, static_cast<char>(number * 8 + 2));
  std::size_t length = content.size();
  for (; length >= 0x80; length >>= 7) out += static_cast<char>((length & 0x7f) | 0x80);
  out += static_cast<char>(length);
  return out + content;
}

std::string Model(const std::string& graph) { return "\x08\x0a" + Field(2, "x") + Field(7, graph); }

TEST(Onnx, ReadsWhatItsOwnWriterWrote) {
  const model::Facts facts = ParseBytes(tests::ModelFixture("tiny.onnx"));
  EXPECT_EQ(facts.format, Format::kOnnx);
  EXPECT_EQ(facts.name, "tiny_graph");
  EXPECT_EQ(facts.license, "mit");
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_EQ(facts.parameters, 16U);
  EXPECT_EQ(facts.tensor_count, 1U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Onnx, TellsOfCustomOperators) {
  const model::Facts facts = ParseBytes(tests::ModelFixture("custom_operator.onnx"));
  ASSERT_TRUE(HasRisk(facts, "custom_operators", Severity::kMedium));
  EXPECT_EQ(FindRisk(facts, "custom_operators")->evidence, "com.example.MatMul");
}

TEST(Onnx, FindsCustomOperatorsInSubgraphs) {
  std::string graph = Field(1, Field(7, "evil"));
  for (int i = 0; i < 8; ++i) graph = Field(1, Field(5, Field(6, graph)));
  EXPECT_TRUE(HasRisk(ParseText(Model(graph)), "custom_operators", Severity::kMedium));
}

TEST(Onnx, StopsAtGraphsNestedWithoutEnd) {
  std::string graph = Field(2, "innermost");
  for (int i = 0; i < 10'000; ++i) graph = Field(1, Field(5, Field(6, graph)));
  EXPECT_TRUE(HasRisk(ParseText(Model(graph)), "malformed", Severity::kHigh));
}

TEST(Onnx, TellsOfExternalDataOutsideItsFolder) {
  EXPECT_TRUE(HasRisk(ParseBytes(tests::ModelFixture("external_data_escapes.onnx")),
                      "external_data_escapes", Severity::kHigh));
  const auto with = [](const std::string& location) {
    return ParseText(Model(Field(5, Field(13, Field(1, "location") + Field(2, location)))));
  };
  EXPECT_TRUE(with("weights.bin").risks.empty());
  EXPECT_TRUE(with("folder/weights..bin").risks.empty());
  for (const char* location : {"/etc/passwd", "a/../../b", "..\\b", "C:\\b", ".."}) {
    EXPECT_TRUE(HasRisk(with(location), "external_data_escapes", Severity::kHigh)) << location;
  }
}

TEST(Onnx, ReadsDimensionsPackedAndUnpacked) {
  EXPECT_EQ(ParseText(Model(Field(5, "\x08\x03\x08\x05\x10\x01"))).parameters, 15U);
  EXPECT_EQ(ParseText(Model(Field(5, Field(1, "\x03\x05") + "\x10\x01"))).parameters, 15U);
}

TEST(Onnx, GivesNoCountThatOverflows) {
  const std::string huge = "\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
  const model::Facts facts = ParseText(Model(Field(5, huge + huge)));
  EXPECT_EQ(facts.format, Format::kOnnx);
  EXPECT_EQ(facts.parameters, std::nullopt);
}

TEST(Onnx, SaysThatTheGraphWasCutOff) {
  std::string text = Model(Field(2, std::string(300, 'n')));
  text.resize(200);
  EXPECT_TRUE(HasRisk(ParseText(text), "malformed", Severity::kHigh));
}

TEST(Onnx, PassesOverWeights) {
  // A tensor with 8 GB of raw data, in a file that is that long.
  const std::string start = "\x08\x0a" + Field(2, "x");
  const std::uint64_t raw = 8ULL << 30;
  const auto varint = [](std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
    return out + static_cast<char>(value);
  };
  const std::string tensor = "\x08\x04\x10\x01\x4a" + varint(raw);
  const std::string initializer = "\x2a" + varint(tensor.size() + raw) + tensor;
  const std::string text = start + "\x3a" + varint(initializer.size() + raw) + initializer;
  CountedSource source(base::AsBytes(text), text.size() + raw);
  const model::Facts facts = Parse(source);
  EXPECT_EQ(facts.parameters, 4U);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(Onnx, FindsTheElementsOfATensorOrSaysWhyNot) {
  const auto map = [](const std::string& tensor) {
    const std::string text = Model(Field(5, tensor));
    MemorySource source(base::AsBytes(text));
    return TensorMap::Decode(MapTensors(source), text.size()).value();
  };
  const std::string shape = Field(1, "\x01\x02");
  const std::string floats = shape + "\x10\x01";
  const std::string eight(8, 'x');
  for (const std::string& tensor : {floats + Field(9, eight), floats + Field(4, eight)}) {
    const TensorMap found = map(tensor);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found.At(0).type->name, "F32");
    EXPECT_EQ(found.At(0).dims, std::vector<std::uint64_t>{2});
    EXPECT_EQ(found.BytesAt(0), 8U);
  }
  using model::WeightsReason;
  EXPECT_EQ(map(floats + Field(9, "short")).reason(), WeightsReason::kIncomplete);
  EXPECT_EQ(map(floats + Field(4, "1234") + Field(4, "5678")).reason(), WeightsReason::kPacked);
  EXPECT_EQ(map(shape + "\x10\x07" + Field(7, "\x01\x02")).reason(), WeightsReason::kPacked);
  EXPECT_EQ(map(shape + "\x10\x63" + Field(9, eight)).reason(), WeightsReason::kUnknownType);
  EXPECT_EQ(map(floats + Field(13, Field(1, "location") + Field(2, "w.bin"))).reason(),
            WeightsReason::kIncomplete);
  EXPECT_EQ(map(Field(1, std::string(1, '\0')) + "\x10\x01").reason(), WeightsReason::kNoTensors);
}

TEST(Onnx, IsNotAnotherProtobuf) {
  // A TensorFlow SavedModel: a schema version, then a meta graph.
  EXPECT_EQ(ParseText("\x08\x01" + Field(2, Field(1, "meta") + Field(2, "graph"))).format,
            Format::kUnknown);
  // A Core ML model: a version, a description, then a kind far up.
  EXPECT_EQ(ParseText("\x08\x04" + Field(2, "description") + "\xa2\x1f\x02hi").format,
            Format::kUnknown);
}

}  // namespace
}  // namespace weighmaster::agent::formats
