#include "agent/formats/graphs/mnn.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/flat_file.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

namespace flat = tests::flat;
using flat::Value;
using model::Format;
using model::Severity;

// OpType.
constexpr std::uint32_t kConst = 11;
constexpr std::uint32_t kConvolution = 12;
constexpr std::uint32_t kInput = 34;
constexpr std::uint32_t kReLU = 70;
constexpr std::uint32_t kPlugin = 256;
// OpParameter.
constexpr std::uint8_t kBlobParameter = 7;
constexpr std::uint8_t kConvolutionParameter = 9;
constexpr std::uint8_t kPluginParameter = 30;
constexpr std::uint8_t kLayerNormParameter = 88;

struct Operator {
  std::uint32_t type = kReLU;
  std::uint8_t parameter_type = 0;
  Value parameter = flat::Table({});
  std::string name = "op";
  std::uint64_t output = 0;
  std::string path;
};

Value Op(const Operator& op) {
  std::vector<std::pair<std::size_t, Value>> fields = {
      {0, flat::U32s({0})},         {1, flat::U8(op.parameter_type)}, {3, flat::Text(op.name)},
      {4, flat::U32s({op.output})}, {5, flat::U32(op.type)},          {6, flat::U8(1)}};
  if (op.parameter_type != 0) fields.emplace_back(2, op.parameter);
  if (!op.path.empty()) fields.emplace_back(7, flat::Text(op.path));
  return flat::Table(fields);
}

std::string Net(const std::vector<Operator>& operators,
                const std::vector<std::pair<std::size_t, Value>>& more = {}) {
  std::vector<Value> ops;
  for (const Operator& op : operators) ops.push_back(Op(op));
  std::vector<std::pair<std::size_t, Value>> fields = {
      {7, flat::Vector({flat::Text("data"), flat::Text("prob")})},
      {6, flat::U8(3)},
      {8, flat::U32(2)},
      {3, flat::Vector(ops)},
      {0, flat::Text("MNN")}};
  fields.insert(fields.end(), more.begin(), more.end());
  return flat::File(flat::Table(fields));
}

Operator Input() { return {kInput, 0, flat::Table({}), "data", 0, ""}; }

bool LooksLike(std::string_view text) {
  return LooksLikeMnn(
      {base::AsBytes(text).first(std::min<std::size_t>(text.size(), 4096)), {}, text.size()});
}

model::Facts Read(std::string_view text, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseMnn(source, budget, tensors);
}

Value Floats(std::size_t count) { return flat::U32s(std::vector<std::uint64_t>(count, 0)); }

TEST(Mnn, ReadsANet) {
  const Value blob = flat::Table({{0, flat::U32s({2, 5})}, {2, flat::U32(9)}});
  const Value convolution = flat::Table({{1, Floats(18)}, {2, Floats(3)}});
  const std::string text =
      Net({Input(),
           {kConst, kBlobParameter, blob, "shape", 1, ""},
           {kConvolution, kConvolutionParameter, convolution, "conv/\xe5\xb1\x82", 1, ""}});
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kMnn);
  EXPECT_EQ(facts.parameters, 31U);
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Mnn, CountsPackedWeightsByTheShapeOfTheirConvolution) {
  const auto with = [](std::uint32_t inputs, std::uint32_t kind, std::uint32_t bits) {
    const Value common = flat::Table({{2, flat::U32(3)},
                                      {3, flat::U32(3)},
                                      {9, flat::U32(2)},
                                      {10, flat::U32(16)},
                                      {11, flat::U32(inputs)}});
    const Value packed =
        flat::Table({{0, flat::Bytes("bytes")}, {2, flat::U32(kind)}, {7, flat::U32(bits)}});
    const Value convolution = flat::Table({{0, common}, {2, Floats(4)}, {3, packed}});
    return Read(Net({Input(), {kConvolution, kConvolutionParameter, convolution, "c", 1, ""}}));
  };
  EXPECT_EQ(with(8, 1, 4).parameters, 16U * 4 * 9 + 4);
  EXPECT_EQ(with(8, 1, 4).quantization, "I4");
  EXPECT_EQ(with(8, 1, 8).quantization, "I8");
  EXPECT_EQ(with(8, 3, 0).quantization, "F16");
  EXPECT_EQ(with(0, 1, 8).parameters, std::nullopt);
  EXPECT_EQ(with(7, 1, 8).parameters, std::nullopt);
  EXPECT_EQ(with(8, 1, 8).tensor_count, 2U);
}

TEST(Mnn, CountsWeightsInTheFileBesideIt) {
  const Value convolution = flat::Table({{6, flat::U64s({0, 400, 40})}});
  const Value norm = flat::Table({{5, flat::U64s({440, 8, 8})}});
  const model::Facts facts =
      Read(Net({{kConvolution, kConvolutionParameter, convolution, "c", 1, ""},
                {603, kLayerNormParameter, norm, "n", 1, ""}}));
  EXPECT_EQ(facts.parameters, 114U);
  EXPECT_EQ(facts.tensor_count, 4U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Mnn, TellsOfPluginsAlsoInSubgraphs) {
  const Operator plugin = {
      kPlugin, kPluginParameter, flat::Table({{0, flat::Text("evil")}}), "p", 1, ""};
  const model::Facts facts = Read(Net({Input(), plugin}));
  ASSERT_TRUE(HasRisk(facts, "custom_operators", Severity::kMedium));
  EXPECT_EQ(facts.risks[0].evidence, "evil");
  const Value subgraph = flat::Table({{0, flat::Text("body")}, {4, flat::Vector({Op(plugin)})}});
  EXPECT_TRUE(HasRisk(Read(Net({Input()}, {{10, flat::Vector({subgraph})}})), "custom_operators",
                      Severity::kMedium));
}

TEST(Mnn, TellsOfWeightsOutsideItsFolder) {
  Operator op = Input();
  op.path = "net.mnn.weight";
  EXPECT_TRUE(Read(Net({op})).risks.empty());
  op.path = "../net.mnn.weight";
  EXPECT_TRUE(HasRisk(Read(Net({op})), "external_data_escapes", Severity::kHigh));
}

TEST(Mnn, GivesNoCountOfNegativeExtents) {
  const Value blob = flat::Table({{0, flat::U32s({0xffffffff})}});
  const model::Facts facts = Read(Net({Input(), {kConst, kBlobParameter, blob, "c", 1, ""}}));
  EXPECT_EQ(facts.format, Format::kMnn);
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_EQ(facts.tensor_count, 1U);
}

TEST(Mnn, IsOneOnlyIfItsOperatorsAre) {
  const auto with = [](const Operator& op) { return Net({Input(), op, Input()}); };
  ASSERT_EQ(Read(with({})).format, Format::kMnn);
  Operator op;
  op.type = 230;
  EXPECT_EQ(Read(with(op)).format, Format::kUnknown);
  op.type = ~0U;
  EXPECT_EQ(Read(with(op)).format, Format::kUnknown);
  op = {};
  op.output = 2;
  EXPECT_EQ(Read(with(op)).format, Format::kUnknown);
  op = {};
  op.name = "not\nso";
  EXPECT_EQ(Read(with(op)).format, Format::kUnknown);
  op.name = "\xff\xfe";
  EXPECT_EQ(Read(with(op)).format, Format::kUnknown);
  op = {};
  op.parameter_type = 200;
  EXPECT_EQ(Read(with(op)).format, Format::kUnknown);
  EXPECT_EQ(Read(Net({})).format, Format::kUnknown);
}

TEST(Mnn, SaysThatTheFileWasCutOff) {
  const Value convolution = flat::Table({{1, Floats(100)}});
  const Operator op = {kConvolution, kConvolutionParameter, convolution, "conv", 1, ""};
  const std::string text = Net(std::vector<Operator>(40, op));
  ASSERT_TRUE(Read(text).risks.empty());
  // Half of it holds the operators that are looked at, which lie first.
  for (std::size_t size = text.size() / 2; size < text.size(); size += 97) {
    const std::string cut = text.substr(0, size);
    EXPECT_TRUE(LooksLike(cut));
    const model::Facts facts = Read(cut);
    EXPECT_EQ(facts.format, Format::kMnn);
    EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << size;
  }
}

TEST(Mnn, SaysThatACountLies) {
  Operator op = Input();
  op.type = kConvolution;
  op.parameter_type = kConvolutionParameter;
  op.parameter = flat::Table({{1, flat::Piece(flat::Little(0x12345678, 4))}});
  const model::Facts facts = Read(Net({op, Input()}));
  EXPECT_EQ(facts.format, Format::kMnn);
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_NE(facts.risks[0].evidence.find("a count of 305419896 elements"), std::string::npos);
}

TEST(Mnn, EndsWithTheBudget) {
  const std::string text = Net(std::vector<Operator>(20'000, Input()));
  EXPECT_TRUE(Read(text).risks.empty());
  const model::Facts facts = Read(text, 2'000'000);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_EQ(facts.parameters, std::nullopt);
}

TEST(Mnn, LooksOnlyLikeItselfFromTheFirstBytesOn) {
  const std::string good = Net({Input(), Operator{}, Input()});
  ASSERT_TRUE(LooksLike(good));
  const auto with = [&good](std::size_t at, const std::string& bytes) {
    std::string changed = good;
    return changed.replace(at, bytes.size(), bytes);
  };
  // The root's offset, two bytes of padding, the vtable at 6, the root at 28: names, a byte at 8,
  // a number, operators, a text.
  ASSERT_EQ(good.substr(0, 8), flat::Little(28, 4) + std::string(2, '\0') + flat::Little(22, 2));
  EXPECT_FALSE(LooksLike(with(0, flat::Little(29, 4))));
  EXPECT_FALSE(LooksLike(with(0, flat::Little(0, 4))));
  EXPECT_FALSE(LooksLike(with(0, flat::Little(4'000, 4))));
  EXPECT_FALSE(LooksLike(with(4, "x")));
  EXPECT_FALSE(LooksLike(with(6, flat::Little(20, 2))));
  EXPECT_FALSE(LooksLike(with(8, flat::Little(200, 2))));
  EXPECT_FALSE(LooksLike(with(28, flat::Little(~0ULL, 4))));
  EXPECT_FALSE(LooksLike(with(28, flat::Little(20, 4))));
  EXPECT_FALSE(LooksLike(with(32, flat::Little(0, 4))));
  EXPECT_FALSE(LooksLike(with(32, flat::Little(21, 4))));
  EXPECT_FALSE(LooksLike(with(32, flat::Little(1U << 30, 4))));
  EXPECT_FALSE(LooksLike(with(36, "\x7f")));
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, std::size_t{40}}) {
    EXPECT_FALSE(LooksLike(good.substr(0, size)));
  }
}

TEST(Mnn, IsNotAnotherFlatBuffer) {
  const std::string padding(200, 'x');
  EXPECT_FALSE(LooksLike(flat::File(flat::Table({{0, flat::Text(padding)}}))));
  EXPECT_FALSE(LooksLike(
      flat::File(flat::Table({{3, flat::Vector({flat::Text(padding)})}, {6, flat::U32(1)}}))));
  EXPECT_FALSE(LooksLike(
      flat::File(flat::Table({{3, flat::Vector({flat::Text(padding)})}, {7, flat::U32(1)}}))));
  EXPECT_FALSE(LooksLike(
      flat::File(flat::Table({{3, flat::Vector({flat::Text(padding)})}, {7, flat::Vector({})}}))));
  // Like a Net from outside; its elements are no operators.
  const std::string other = flat::File(flat::Table(
      {{3, flat::Vector({flat::Table({{0, flat::Text(padding)}, {5, flat::U32(999)}})})},
       {7, flat::Vector({flat::Text("name")})}}));
  EXPECT_TRUE(LooksLike(other));
  EXPECT_EQ(Read(other).format, Format::kUnknown);
  EXPECT_FALSE(LooksLike(std::string(4'096, '\0')));
  EXPECT_FALSE(LooksLike(padding));
}

}  // namespace
}  // namespace weighmaster::agent::formats
