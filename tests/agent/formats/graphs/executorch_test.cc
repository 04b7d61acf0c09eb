#include "agent/formats/graphs/executorch.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/flat_file.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

namespace flat = tests::flat;
using flat::Value;
using model::Format;
using model::Severity;

constexpr std::uint8_t kFloat = 6;
constexpr std::uint8_t kHalf = 5;

Value Tensor(const std::vector<std::uint64_t>& sizes, std::uint8_t type, std::uint32_t data) {
  return flat::Table({{0, flat::U8(type)}, {2, flat::U32s(sizes)}, {5, flat::U32(data)}});
}
Value TensorValue(const Value& tensor) { return flat::Table({{0, flat::U8(5)}, {1, tensor}}); }
Value IntValue() { return flat::Table({{0, flat::U8(2)}, {1, flat::Table({})}}); }
Value Operator(const std::string& name) { return flat::Table({{0, flat::Text(name)}}); }
Value Segment(std::uint64_t offset, std::uint64_t bytes) {
  return flat::Table({{0, flat::U64(offset)}, {1, flat::U64(bytes)}});
}

struct Parts {
  std::vector<Value> values;
  std::vector<Value> operators = {Operator("aten::add")};
  std::vector<Value> delegates;
  std::vector<Value> inline_data;
  std::vector<Value> segments;
  std::vector<std::uint64_t> offsets = {0, 0, 16};
  std::string identifier = "ET12";
};

Value Plan(const Parts& parts) {
  return flat::Table({{0, flat::Text("forward")},
                      {2, flat::Vector(parts.values)},
                      {6, flat::Vector(parts.operators)},
                      {7, flat::Vector(parts.delegates)}});
}

std::string Program(const Parts& parts, std::string_view header = "") {
  return flat::File(flat::Table({{1, flat::Vector({Plan(parts), Plan(parts)})},
                                 {3, flat::Vector(parts.inline_data)},
                                 {4, flat::Vector(parts.segments)},
                                 {5, flat::Table({{1, flat::U64s(parts.offsets)}})}}),
                    parts.identifier, header);
}

std::string Header(std::uint64_t program, std::uint64_t begin, std::uint64_t bytes,
                   std::uint32_t length = 32) {
  std::string header =
      "eh00" + flat::Little(length, 4) + flat::Little(program, 8) + flat::Little(begin, 8);
  if (length >= 32) header += flat::Little(bytes, 8);
  return header;
}

// A program with an extended header, and `data` behind it.
std::string WithSegments(const Parts& parts, const std::string& data, std::uint32_t length = 32) {
  const std::size_t size = Program(parts, Header(0, 0, 0, length)).size();
  const std::size_t begin = (size + 15) / 16 * 16;
  std::string text = Program(parts, Header(size, begin, data.size(), length));
  text.resize(begin);
  return text + data;
}

bool LooksLike(std::string_view text) {
  return LooksLikeExecutorch(
      {base::AsBytes(text).first(std::min<std::size_t>(text.size(), 4096)), {}, text.size()});
}

model::Facts Read(std::string_view text, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseExecutorch(source, budget, tensors);
}

void ExpectMalformed(const std::string& text, std::string_view evidence) {
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kExecutorch);
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << evidence;
  EXPECT_NE(FindRisk(facts, "malformed")->evidence.find(evidence), std::string::npos)
      << FindRisk(facts, "malformed")->evidence;
}

TEST(Executorch, CountsTheConstantsOfAllPlansOnce) {
  Parts parts;
  parts.values = {TensorValue(Tensor({9}, kFloat, 0)), IntValue(),
                  TensorValue(Tensor({2, 3}, kHalf, 1)), TensorValue(Tensor({4}, kFloat, 2))};
  const std::string text = Program(parts);
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kExecutorch);
  EXPECT_EQ(facts.parameters, 10U);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Executorch, CountsVariablesAndWeightsInOtherFiles) {
  Parts parts;
  const Value variable = flat::Table(
      {{0, flat::U8(kFloat)}, {2, flat::U32s({5})}, {5, flat::U32(700)}, {6, flat::Table({})}});
  const Value elsewhere = flat::Table(
      {{0, flat::U8(kFloat)}, {2, flat::U32s({8})}, {9, flat::Table({{2, flat::U8(1)}})}});
  parts.values = {TensorValue(variable), TensorValue(elsewhere)};
  const model::Facts facts = Read(Program(parts));
  EXPECT_EQ(facts.tensor_count, 4U);  // in each of two plans
  EXPECT_EQ(facts.parameters, 26U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Executorch, DoesNotCountWhatABackendTookOver) {
  Parts parts;
  parts.values = {TensorValue(Tensor({4}, kFloat, 1))};
  parts.delegates = {flat::Table({{0, flat::Text("XnnpackBackend")}})};
  const model::Facts facts = Read(Program(parts));
  EXPECT_EQ(facts.format, Format::kExecutorch);
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_EQ(facts.tensor_count, std::nullopt);
  EXPECT_EQ(facts.quantization, "");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Executorch, TellsOfOperatorsThatItDoesNotBring) {
  Parts parts;
  parts.operators = {Operator("aten::mul"), Operator("executorch_prim::add"), Operator("old_name"),
                     Operator("cortex_m::pad"), Operator("my_ops::mul3")};
  const model::Facts facts = Read(Program(parts));
  ASSERT_EQ(facts.risks.size(), 1U);
  EXPECT_TRUE(HasRisk(facts, "custom_operators", Severity::kMedium));
  EXPECT_EQ(facts.risks[0].evidence, "my_ops::mul3");
}

TEST(Executorch, ReadsAnExtendedHeaderOfEitherLength) {
  for (const std::uint32_t length : {24U, 32U, 40U}) {
    Parts parts;
    parts.segments = {Segment(0, 20), Segment(32, 8)};
    parts.values = {TensorValue(Tensor({4}, kFloat, 1))};
    std::string text = WithSegments(parts, std::string(40, 'd'), length);
    EXPECT_TRUE(LooksLike(text));
    const model::Facts facts = Read(text);
    EXPECT_EQ(facts.parameters, 4U) << length;
    EXPECT_TRUE(facts.risks.empty()) << length;
  }
}

TEST(Executorch, TellsOfBytesAfterTheLastSegment) {
  Parts parts;
  parts.segments = {Segment(0, 16)};
  const std::string text = WithSegments(parts, std::string(16, 'd'));
  EXPECT_TRUE(Read(text).risks.empty());
  const model::Facts facts = Read(text + "more");
  ASSERT_TRUE(HasRisk(facts, "trailing_data", Severity::kMedium));
  EXPECT_EQ(facts.risks[0].evidence.rfind("4 bytes from offset", 0), 0U);
  // A shorter header does not say how long the segments are, so there may be padding.
  const std::string old = WithSegments(parts, std::string(16, 'd'), 24);
  EXPECT_TRUE(Read(old + "more").risks.empty());
  EXPECT_TRUE(HasRisk(Read(old + std::string(70'000, 'm')), "trailing_data", Severity::kMedium));
}

TEST(Executorch, RefusesAHeaderOrSegmentsThatLie) {
  Parts parts;
  ExpectMalformed(Program(parts, Header(~0ULL, 0, 0)), "a program of 18446744073709551615 bytes");
  ExpectMalformed(Program(parts, Header(100, 50, 0)), "segments of 0 bytes at offset 0x32");
  ExpectMalformed(Program(parts, Header(100, 104, 1ULL << 60)), "segments of 1152921504606846976");
  ExpectMalformed(Program(parts, Header(100, 0, 0, 23)), "an extended header of 23 bytes");
  parts.segments = {Segment(0, 17)};
  ExpectMalformed(WithSegments(parts, std::string(16, 'd')), "segment 0 of 17 bytes");
  parts.segments = {Segment(~0ULL, 1)};
  ExpectMalformed(WithSegments(parts, std::string(16, 'd')), "segment 0 of 1 bytes");
}

TEST(Executorch, RefusesAConstantThatIsNotThere) {
  Parts parts;
  parts.values = {TensorValue(Tensor({4}, kFloat, 3))};
  ExpectMalformed(Program(parts), "constant 3 of 3");
}

TEST(Executorch, FindsLibrariesAmongTheDataOfBackends) {
  Parts parts;
  parts.segments = {Segment(0, 16), Segment(16, 16)};
  const std::string library = std::string("\177ELF") + std::string(12, '\0');
  const model::Facts segment = Read(WithSegments(parts, std::string(16, 'd') + library));
  ASSERT_TRUE(HasRisk(segment, "native_code_inside", Severity::kHigh));
  parts.segments.clear();
  parts.inline_data = {flat::Table({{0, flat::Bytes(library)}})};
  EXPECT_TRUE(HasRisk(Read(Program(parts)), "native_code_inside", Severity::kHigh));
  parts.inline_data = {flat::Table({{0, flat::Bytes("data \177ELF")}})};
  EXPECT_TRUE(Read(Program(parts)).risks.empty());
}

TEST(Executorch, SaysThatAVersionIsUnknown) {
  Parts parts;
  parts.identifier = "ET13";
  EXPECT_FALSE(LooksLike(Program(parts)));
  const std::string text = WithSegments(parts, "");
  EXPECT_TRUE(LooksLike(text));
  EXPECT_TRUE(HasRisk(Read(text), "unsupported_version", Severity::kLow));
}

TEST(Executorch, SaysThatTheFileWasCutOff) {
  Parts parts;
  parts.values = {TensorValue(Tensor({4}, kFloat, 1))};
  const std::string text = Program(parts);
  int recognised = 0;
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    const std::string_view cut = std::string_view(text).substr(0, size);
    if (!LooksLike(cut)) continue;
    ++recognised;
    EXPECT_TRUE(HasRisk(Read(cut), "malformed", Severity::kHigh)) << size;
  }
  EXPECT_GT(recognised, 100);
}

TEST(Executorch, GivesNoCountOfNegativeSizes) {
  Parts parts;
  parts.values = {TensorValue(Tensor({0xffffffff}, kFloat, 1))};
  const model::Facts facts = Read(Program(parts));
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_EQ(facts.tensor_count, 1U);
}

TEST(Executorch, EndsWithTheBudget) {
  Parts parts;
  parts.operators.assign(20'000, Operator("evil::op"));
  const model::Facts facts = Read(Program(parts), 2'000'000);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_EQ(facts.parameters, std::nullopt);
}

TEST(Executorch, EndsAtACountThatLies) {
  const std::string text =
      flat::File(flat::Table({{1, flat::Piece(flat::Little(1U << 31, 4))}}), "ET12");
  CountedSource source(base::AsBytes(text), 1ULL << 40);
  WorkBudget budget(10'000'000);
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseExecutorch(source, budget, tensors);
  // The first plan is not there.
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_LT(source.bytes_read(), 100'000U);
}

TEST(Executorch, IsNotWhatOnlyHasItsLetters) {
  EXPECT_FALSE(LooksLike("see ET12 for more, and a text that goes on"));
  EXPECT_FALSE(LooksLike("WIDGET12eh00 and a text that goes on"));
  EXPECT_FALSE(LooksLike(std::string(4, '\0') + "ET12" + std::string(100, '\0')));
  // A bundled program, and external weights.
  EXPECT_FALSE(LooksLike(flat::File(flat::Table({{0, flat::U32(0)}}), "BP08")));
  EXPECT_FALSE(LooksLike(flat::File(flat::Table({{0, flat::U32(0)}}), "FT01")));
}

}  // namespace
}  // namespace weighmaster::agent::formats
