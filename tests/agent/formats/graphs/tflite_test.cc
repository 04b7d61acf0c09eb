#include "agent/formats/graphs/tflite.h"

#include <gtest/gtest.h>

#include "agent/formats/grammars/flat_buffer.h"
#include "tests/agent/formats/flat_file.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

namespace flat = tests::flat;
using flat::Value;
using model::Format;
using model::Severity;
using model::WeightsReason;

constexpr std::uint8_t kInt8 = 9;
constexpr std::uint8_t kInt4 = 17;
constexpr std::uint8_t kString = 5;

Value Tensor(const std::vector<std::uint64_t>& shape, std::uint8_t type, std::uint32_t buffer) {
  return flat::Table({{0, flat::U32s(shape)}, {1, flat::U8(type)}, {2, flat::U32(buffer)}});
}
Value Buffer(const std::string& data) { return flat::Table({{0, flat::Bytes(data)}}); }
Value Empty() { return flat::Table({}); }
Value Subgraph(const std::vector<Value>& tensors) {
  return flat::Table({{0, flat::Vector(tensors)}});
}
Value CustomOperator(const std::string& name) {
  return flat::Table({{0, flat::U8(32)}, {1, flat::Text(name)}, {3, flat::U32(32)}});
}

struct Parts {
  std::vector<Value> operators = {flat::Table({{0, flat::U8(9)}})};
  std::vector<Value> subgraphs;
  std::vector<Value> buffers = {Empty()};
  std::vector<Value> metadata;
  std::vector<Value> groups;
  std::uint32_t version = 3;
};

std::string Model(const Parts& parts) {
  return flat::File(flat::Table({{0, flat::U32(parts.version)},
                                 {1, flat::Vector(parts.operators)},
                                 {2, flat::Vector(parts.subgraphs)},
                                 {3, flat::Text("MLIR Converted.")},
                                 {4, flat::Vector(parts.buffers)},
                                 {6, flat::Vector(parts.metadata)},
                                 {8, flat::Vector(parts.groups)}}),
                    "TFL3");
}

// Weights of 2 x 3 floats, a bias of 3 bytes, and what is computed of them.
Parts Small() {
  Parts parts;
  parts.buffers.push_back(Buffer(std::string(24, 'w')));
  parts.buffers.push_back(Buffer("abc"));
  parts.subgraphs.push_back(
      Subgraph({Tensor({1, 3}, 0, 0), Tensor({2, 3}, 0, 1), Tensor({3}, kInt8, 2)}));
  return parts;
}

bool LooksLike(std::string_view text) {
  return LooksLikeTflite(
      {base::AsBytes(text).first(std::min<std::size_t>(text.size(), 4096)), {}, text.size()});
}

model::Facts Read(std::string_view text) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseTflite(source, budget, tensors);
}

TensorMap Map(std::string_view text) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  TensorMapWriter tensors(true);
  ParseTflite(source, budget, tensors);
  return TensorMap::Decode(std::move(tensors).Take(), text.size()).value();
}

void ExpectMalformed(const std::string& text, std::string_view evidence) {
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kTflite);
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_NE(FindRisk(facts, "malformed")->evidence.find(evidence), std::string::npos)
      << FindRisk(facts, "malformed")->evidence;
}

TEST(Tflite, CountsTheTensorsThatHaveData) {
  const std::string text = Model(Small());
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kTflite);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_EQ(facts.parameters, 9U);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Tflite, CountsWhatSubgraphsShareOnce) {
  Parts parts = Small();
  parts.subgraphs.push_back(parts.subgraphs.front());
  const model::Facts facts = Read(Model(parts));
  EXPECT_EQ(facts.parameters, 9U);
  EXPECT_EQ(facts.tensor_count, 2U);
}

TEST(Tflite, ReadsNameAndLicenseFromItsMetadata) {
  const std::string about = flat::File(flat::Table({{0, flat::Text("Bird finder")},
                                                    {4, flat::Text("A. Uthor")},
                                                    {5, flat::Text("Apache-2.0\n")}}),
                                       "M001");
  Parts parts = Small();
  parts.buffers.push_back(Buffer(about));
  parts.metadata = {flat::Table({{0, flat::Text("min_runtime_version")}, {1, flat::U32(2)}}),
                    flat::Table({{0, flat::Text("TFLITE_METADATA")}, {1, flat::U32(3)}})};
  const model::Facts facts = Read(Model(parts));
  EXPECT_EQ(facts.name, "Bird finder");
  EXPECT_EQ(facts.license, "Apache-2.0\\x0a");
  EXPECT_TRUE(facts.risks.empty());
  parts.buffers.back() = Buffer(about.substr(0, about.size() - 4));
  ExpectMalformed(Model(parts), "metadata: ");
  parts.metadata = {flat::Table({{0, flat::Text("TFLITE_METADATA")}, {1, flat::U32(4)}})};
  ExpectMalformed(Model(parts), "buffer 4 of 4");
}

TEST(Tflite, TellsOfCustomOperators) {
  Parts parts = Small();
  parts.operators.push_back(CustomOperator("FlexErf"));
  parts.operators.push_back(CustomOperator("evil_op"));
  parts.operators.push_back(CustomOperator("TFLite_Detection_PostProcess"));
  const model::Facts facts = Read(Model(parts));
  ASSERT_EQ(facts.risks.size(), 2U);
  EXPECT_TRUE(HasRisk(facts, "custom_operators", Severity::kMedium));
  EXPECT_EQ(facts.risks[0].evidence, "FlexErf");
  EXPECT_EQ(facts.risks[1].evidence, "evil_op");
  EXPECT_EQ(facts.parameters, 9U);
}

TEST(Tflite, TakesTheOldFieldOfAnOperatorToo) {
  Parts parts = Small();
  parts.operators.push_back(flat::Table({{0, flat::U8(32)}, {1, flat::Text("old")}}));
  EXPECT_EQ(Read(Model(parts)).risks.at(0).evidence, "old");
}

TEST(Tflite, FindsTheElementsOfItsTensors) {
  const std::string text = Model(Small());
  const TensorMap map = Map(text);
  ASSERT_EQ(map.reason(), WeightsReason::kNone);
  ASSERT_EQ(map.size(), 2U);
  // In the order of their bytes.
  EXPECT_EQ(map.BeginAt(0), text.find("abc"));
  EXPECT_EQ(map.At(0).type->name, "I8");
  EXPECT_EQ(map.BeginAt(1), text.find(std::string(24, 'w')));
  EXPECT_EQ(map.At(1).type->name, "F32");
  EXPECT_EQ(map.At(1).dims, (std::vector<std::uint64_t>{2, 3}));
}

TEST(Tflite, SaysWhyElementsCanNotBeFound) {
  Parts sparse = Small();
  sparse.subgraphs.push_back(Subgraph({flat::Table(
      {{0, flat::U32s({9, 9})}, {1, flat::U8(0)}, {2, flat::U32(1)}, {6, flat::Table({})}})}));
  EXPECT_EQ(Map(Model(sparse)).reason(), WeightsReason::kSparse);
  EXPECT_TRUE(Read(Model(sparse)).risks.empty());
  Parts text = Small();
  text.subgraphs.push_back(Subgraph({Tensor({1}, kString, 2)}));
  EXPECT_EQ(Map(Model(text)).reason(), WeightsReason::kUnknownType);
  Parts larger = Small();
  larger.subgraphs.push_back(Subgraph({Tensor({2}, kInt8, 2)}));
  EXPECT_EQ(Map(Model(larger)).reason(), WeightsReason::kIncomplete);
  EXPECT_TRUE(Read(Model(larger)).risks.empty());
}

TEST(Tflite, PacksHalfBytes) {
  Parts parts;
  parts.buffers.push_back(Buffer("xy"));
  parts.subgraphs.push_back(Subgraph({Tensor({4}, kInt4, 1)}));
  const model::Facts facts = Read(Model(parts));
  EXPECT_EQ(facts.quantization, "I4");
  EXPECT_EQ(facts.parameters, 4U);
  EXPECT_EQ(Map(Model(parts)).size(), 1U);
  parts.subgraphs = {Subgraph({Tensor({3}, kInt4, 1)})};
  EXPECT_TRUE(Read(Model(parts)).risks.empty());
  parts.subgraphs = {Subgraph({Tensor({5}, kInt4, 1)})};
  ExpectMalformed(Model(parts), "larger than its 2 bytes");
}

TEST(Tflite, ReadsBuffersBehindTheFlatBuffer) {
  const auto with = [](std::uint64_t offset, std::uint64_t bytes) {
    Parts parts;
    parts.buffers.push_back(flat::Table({{1, flat::U64(offset)}, {2, flat::U64(bytes)}}));
    parts.subgraphs.push_back(Subgraph({Tensor({4}, 0, 1)}));
    return Model(parts) + std::string(16, 'w');
  };
  const std::uint64_t at = with(0, 16).size() - 16;
  const std::string text = with(at, 16);
  EXPECT_EQ(Read(text).parameters, 4U);
  EXPECT_TRUE(Read(text).risks.empty());
  EXPECT_EQ(Map(text).BeginAt(0), at);
  EXPECT_EQ(Read(with(1, 16)).tensor_count, 0U);
  ExpectMalformed(with(at, 17), "buffer 1 of 17 bytes");
  ExpectMalformed(with(~0ULL, 2), "leads out of the data");
  ExpectMalformed(with(2, ~0ULL), "leads out of the data");
}

TEST(Tflite, CountsButDoesNotFindWeightsInAnotherFile) {
  Parts parts = Small();
  parts.groups = {flat::Table({{0, flat::Text("weights.bin")}})};
  parts.subgraphs.push_back(
      Subgraph({flat::Table({{0, flat::U32s({100})}, {1, flat::U8(kInt8)}, {10, flat::U32(1)}})}));
  const model::Facts facts = Read(Model(parts));
  EXPECT_EQ(facts.parameters, 109U);
  EXPECT_EQ(facts.quantization, "I8");
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_EQ(Map(Model(parts)).reason(), WeightsReason::kIncomplete);
  parts.groups = {flat::Table({{0, flat::Text("../weights.bin")}})};
  EXPECT_TRUE(HasRisk(Read(Model(parts)), "external_data_escapes", Severity::kHigh));
}

TEST(Tflite, AllowsAZipBehindTheModel) {
  const std::string text = Model(Small()) + "PK\x03\x04 labels.txt and more";
  EXPECT_TRUE(Read(text).risks.empty());
  EXPECT_EQ(Map(text).size(), 2U);
}

TEST(Tflite, SaysThatAVersionIsTooNew) {
  Parts parts = Small();
  parts.version = 4;
  const model::Facts facts = Read(Model(parts));
  EXPECT_TRUE(HasRisk(facts, "unsupported_version", Severity::kLow));
  EXPECT_EQ(facts.parameters, 9U);
}

TEST(Tflite, RefusesTensorsThatLie) {
  Parts parts = Small();
  parts.subgraphs.push_back(Subgraph({Tensor({1}, 0, 77)}));
  ExpectMalformed(Model(parts), "buffer 77 of 3");
  parts.subgraphs.back() = Subgraph({Tensor({7}, 0, 1)});
  ExpectMalformed(Model(parts), "larger than its 24 bytes");
  EXPECT_EQ(Read(Model(parts)).parameters, std::nullopt);
  parts.subgraphs.back() = Subgraph({Tensor({INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX}, 0, 1)});
  ExpectMalformed(Model(parts), "larger than its 24 bytes");
}

TEST(Tflite, GivesNoCountOfNegativeExtents) {
  Parts parts = Small();
  parts.buffers.push_back(Buffer("z"));
  parts.subgraphs.push_back(Subgraph({Tensor({0xffffffff}, kInt8, 3)}));
  const model::Facts facts = Read(Model(parts));
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_EQ(Map(Model(parts)).reason(), WeightsReason::kIncomplete);
}

TEST(Tflite, SaysThatTheFileWasCutOff) {
  const std::string text = Model(Small());
  int recognised = 0;
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    const std::string_view cut = std::string_view(text).substr(0, size);
    if (!LooksLike(cut)) continue;
    ++recognised;
    EXPECT_TRUE(HasRisk(Read(cut), "malformed", Severity::kHigh)) << size;
  }
  EXPECT_GT(recognised, 100);
}

TEST(Tflite, EndsWithTheBudgetWhateverItIsTold) {
  // 100,000 subgraphs that are all the same one, of as many tensors that are all the same one. They
  // stand in fields that nobody reads until the vectors lead to them.
  constexpr std::uint32_t kSubgraphs = 2, kHiddenSubgraph = 5, kHiddenTensor = 7;
  const Value many = flat::U32s(std::vector<std::uint64_t>(100'000, 0));
  std::string text = flat::File(flat::Table({{0, flat::U32(3)},
                                             {kSubgraphs, many},
                                             {4, flat::Vector({Empty(), Buffer("0123")})},
                                             {kHiddenSubgraph, flat::Table({{0, many}})},
                                             {kHiddenTensor, Tensor({1}, 0, 1)}}),
                                "TFL3");
  const std::string unchanged = text;
  MemorySource source(base::AsBytes(unchanged));
  WorkBudget unlimited;
  FlatBuffer buffer(source, unlimited, 0, unchanged.size());
  const FlatTable root = buffer.Root().value();
  const auto lead = [&](const FlatVector& vector, std::uint64_t target) {
    for (std::uint64_t i = 0; i < vector.count; ++i) {
      const std::uint64_t place = vector.begin + 4 * i;
      text.replace(static_cast<std::size_t>(place), 4, flat::Little(target - place, 4));
    }
  };
  const FlatTable subgraph = buffer.Table(root, kHiddenSubgraph).value();
  lead(buffer.Vector(root, kSubgraphs, 4), subgraph.at);
  lead(buffer.Vector(subgraph, 0, 4), buffer.Table(root, kHiddenTensor).value().at);
  MemorySource bomb(base::AsBytes(text));
  WorkBudget budget(20'000'000);
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseTflite(bomb, budget, tensors);
  EXPECT_EQ(facts.tensor_count, 1U);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_EQ(FindRisk(facts, "malformed"), nullptr);
  EXPECT_EQ(facts.parameters, std::nullopt);
}

TEST(Tflite, RefusesMoreBuffersThanAModelHas) {
  const std::string text = flat::File(
      flat::Table({{0, flat::U32(3)}, {4, flat::Piece(flat::Little(1U << 30, 4))}}), "TFL3");
  CountedSource source(base::AsBytes(text), 1ULL << 40);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseTflite(source, budget, tensors);
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_LT(source.bytes_read(), 100'000U);
}

TEST(Tflite, CostsNoMoreForALargerFile) {
  const std::string text = Model(Small());
  CountedSource small(base::AsBytes(text), 1ULL << 30);
  CountedSource large(base::AsBytes(text), 100ULL << 30);
  for (CountedSource* source : {&small, &large}) {
    WorkBudget budget;
    TensorMapWriter tensors(true);
    EXPECT_EQ(ParseTflite(*source, budget, tensors).parameters, 9U);
  }
  EXPECT_EQ(small.bytes_read(), large.bytes_read());
}

TEST(Tflite, IsNotWhatOnlyHasItsLetters) {
  EXPECT_FALSE(LooksLike("see TFL3 for more, and a text that goes on"));
  EXPECT_FALSE(LooksLike("TFL3" + std::string(100, '\0')));
  EXPECT_FALSE(LooksLike(std::string(4, '\0') + "TFL3" + std::string(100, '\0')));
  EXPECT_FALSE(LooksLike(flat::File(flat::Table({{0, flat::U32(3)}}), "TFL2")));
}

}  // namespace
}  // namespace weighmaster::agent::formats
