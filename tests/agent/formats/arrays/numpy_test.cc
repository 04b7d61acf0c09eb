#include "agent/formats/arrays/numpy.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using model::WeightsReason;

std::string Array(const std::string& header, const std::string& data, std::uint8_t version = 1) {
  tests::ByteWriter out;
  out.Text("\x93NUMPY").U8(version).U8(0);
  if (version == 1) {
    out.U16(static_cast<std::uint16_t>(header.size()));
  } else {
    out.U32(static_cast<std::uint32_t>(header.size()));
  }
  const base::Bytes bytes = out.Text(header).Text(data).Take();
  return std::string(base::AsText(bytes));
}

std::string Header(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': " + descr + ", 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }          \n";
}

struct Parsed {
  model::Facts facts;
  TensorMap map = TensorMap::Without(WeightsReason::kNone);
};

Parsed ParseArray(const std::string& text) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  TensorMapWriter tensors(true);
  Parsed parsed;
  parsed.facts = ParseNumpy(source, budget, tensors);
  parsed.map = TensorMap::Decode(std::move(tensors).Take(), text.size()).value();
  return parsed;
}

bool LooksLike(std::string_view text) {
  return LooksLikeNumpy({base::AsBytes(text), {}, text.size()});
}

constexpr char kHarmless[] = "\x80\x04]\x94.";
constexpr char kHostile[] =
    "\x80\x02"
    "cos\nsystem\n(X\x02\x00\x00\x00idtR.";
std::string Hostile() { return std::string(kHostile, sizeof(kHostile) - 1); }

TEST(Numpy, ReadsAnArrayOfEveryVersion) {
  for (std::uint8_t version = 1; version <= 3; ++version) {
    const std::string text = Array(Header("'<f4'", "(2, 3)"), std::string(24, 'x'), version);
    EXPECT_TRUE(LooksLike(text));
    const Parsed parsed = ParseArray(text);
    EXPECT_EQ(parsed.facts.format, Format::kNumpy);
    EXPECT_EQ(parsed.facts.tensor_count, 1U);
    EXPECT_EQ(parsed.facts.parameters, 6U);
    EXPECT_EQ(parsed.facts.quantization, "F32");
    EXPECT_TRUE(parsed.facts.risks.empty());
    ASSERT_EQ(parsed.map.size(), 1U);
    EXPECT_EQ(parsed.map.At(0).dims, (std::vector<std::uint64_t>{2, 3}));
    EXPECT_EQ(parsed.map.BeginAt(0), text.size() - 24);
    EXPECT_TRUE(parsed.map.IsInOrderAt(0));
  }
}

TEST(Numpy, TurnsFortranOrderAndByteOrderIntoWhatTheyMean) {
  const Parsed parsed =
      ParseArray(Array(Header("'>f8'", "(2, 3, 4)", true), std::string(192, 'x')));
  ASSERT_EQ(parsed.map.size(), 1U);
  EXPECT_EQ(parsed.map.At(0).strides, (std::vector<std::uint64_t>{1, 2, 6}));
  EXPECT_TRUE(parsed.map.At(0).big_endian);
}

TEST(Numpy, CountsAScalarAndAnEmptyArray) {
  EXPECT_EQ(ParseArray(Array(Header("'<i8'", "()"), "12345678")).facts.parameters, 1U);
  const Parsed empty = ParseArray(Array(Header("'<i8'", "(0, 5)"), ""));
  EXPECT_EQ(empty.facts.parameters, 0U);
  EXPECT_TRUE(empty.facts.risks.empty());
  EXPECT_EQ(empty.map.reason(), WeightsReason::kNoTensors);
}

TEST(Numpy, SaysNothingOfWhatIsNoTensor) {
  for (const char* descr : {"'<U1'", "[('a', '<f4')]", "'<M8[s]'"}) {
    const std::size_t bytes = descr[2] == 'M' ? 8 : 4;
    const Parsed parsed = ParseArray(Array(Header(descr, "(1,)"), std::string(bytes, 'x')));
    EXPECT_EQ(parsed.facts.format, Format::kNumpy);
    EXPECT_EQ(parsed.facts.tensor_count, std::nullopt);
    EXPECT_EQ(parsed.facts.parameters, std::nullopt);
    EXPECT_TRUE(parsed.facts.risks.empty()) << descr;
    EXPECT_EQ(parsed.map.reason(), WeightsReason::kUnknownType);
  }
}

TEST(Numpy, ComparesTheShapeWithTheFile) {
  const std::string header = Header("'<f4'", "(2,)");
  const auto short_one = ParseArray(Array(header, "1234567")).facts;
  EXPECT_TRUE(HasRisk(short_one, "malformed", Severity::kHigh));
  const auto long_one = ParseArray(Array(header, "123456789")).facts;
  EXPECT_TRUE(HasRisk(long_one, "trailing_data", Severity::kMedium));
  const auto huge = ParseArray(Array(Header("'<f4'", "(9223372036854775807,)"), "1234")).facts;
  EXPECT_TRUE(HasRisk(huge, "malformed", Severity::kHigh));
}

TEST(Numpy, WalksThePickleOfObjects) {
  for (const char* descr : {"'|O'", "'|\\x4f'", "[('a', '<f4'), ('b', 'O')]"}) {
    const std::string header = Header(descr, "(1,)");
    const Parsed plain = ParseArray(Array(header, kHarmless));
    EXPECT_TRUE(HasRisk(plain.facts, "pickle_format", Severity::kInfo)) << descr;
    EXPECT_EQ(WorstSeverity(plain.facts), Severity::kInfo) << descr;
    EXPECT_EQ(plain.map.reason(), WeightsReason::kPacked);
    const Parsed hostile = ParseArray(Array(header, Hostile()));
    EXPECT_TRUE(HasRisk(hostile.facts, "pickle_executes_code", Severity::kCritical)) << descr;
  }
  // Elements that look like one are none.
  const auto facts =
      ParseArray(Array(Header("'|u1'", "(" + std::to_string(Hostile().size()) + ",)"), Hostile()))
          .facts;
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Numpy, WalksAPickleBehindAHeaderThatOthersMayRead) {
  const auto facts = ParseArray(Array("{'descr': '|O' + ''}", Hostile())).facts;
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_TRUE(HasRisk(facts, "pickle_executes_code", Severity::kCritical));
}

TEST(Numpy, RefusesHeadersThatBreakARule) {
  const std::string headers[] = {
      "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
      "{'descr': 3, 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
      "{}",
      "{",
  };
  for (const std::string& header : headers) {
    const Parsed parsed = ParseArray(Array(header, "1234"));
    EXPECT_TRUE(HasRisk(parsed.facts, "malformed", Severity::kHigh)) << header;
    EXPECT_EQ(parsed.facts.parameters, std::nullopt);
    EXPECT_EQ(parsed.map.reason(), WeightsReason::kIncomplete);
  }
  std::string cut = Array(Header("'<f4'", "(1,)"), "1234");
  cut.resize(40);
  EXPECT_TRUE(HasRisk(ParseArray(cut).facts, "malformed", Severity::kHigh));
}

TEST(Numpy, SaysThatAVersionIsNewer) {
  const std::string text = Array(Header("'<f4'", "(1,)"), "1234", 4);
  EXPECT_TRUE(LooksLike(text));
  EXPECT_TRUE(HasRisk(ParseArray(text).facts, "unsupported_version", Severity::kLow));
}

TEST(Numpy, IsNotWhatOnlyBeginsLikeIt) {
  EXPECT_FALSE(LooksLike(""));
  EXPECT_FALSE(LooksLike("\x93NUMPY"));
  EXPECT_FALSE(LooksLike("NUMPY is a library"));
  EXPECT_FALSE(LooksLike(Array("[1]", "")));
  EXPECT_FALSE(LooksLike(std::string("\x93NUMPY\0\0\x02\0{}", 12)));
}

TEST(Numpy, BeginsEvidenceWithThePlaceOfAMember) {
  const std::string text = Array(Header("'|O'", "(1,)"), Hostile());
  MemorySource source(base::AsBytes(text));
  WorkBudget budget;
  Cursor cursor(source, budget);
  RiskList risks;
  PickleTensors counts;
  TensorMapWriter map(true);
  ReadNumpy(cursor, "a.npy: ", risks, counts, map);
  const std::vector<model::Risk> found = std::move(risks).Take();
  EXPECT_GE(found.size(), 2U);
  for (const model::Risk& risk : found) {
    EXPECT_EQ(risk.evidence.rfind("a.npy: ", 0), 0U) << risk.evidence;
  }
}

TEST(Numpy, EndsWithinItsBudget) {
  const std::string bomb = Array("{" + std::string(200'000, '(') + "}", "", 2);
  EXPECT_TRUE(HasRisk(ParseArray(bomb).facts, "malformed", Severity::kHigh));
  MemorySource source(base::AsBytes(bomb));
  WorkBudget budget(100'000);
  TensorMapWriter tensors(true);
  EXPECT_TRUE(HasRisk(ParseNumpy(source, budget, tensors), "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
