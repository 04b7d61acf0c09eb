#include "agent/formats/graphs/paddle.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/formats/tensorflow/tf_graph.h"
#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ByteWriter;

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

constexpr std::uint64_t kF16 = 4, kF32 = 5;

std::string Desc(std::uint64_t type, const std::vector<std::uint64_t>& extents) {
  std::string out = Number(1, type);
  for (const std::uint64_t extent : extents) out += Number(2, extent);
  return out;
}
// A variable that stays; `kind` 7 is a tensor.
std::string Variable(const std::string& name, const std::string& desc, std::uint64_t kind = 7,
                     bool persistable = true) {
  return Field(3, Field(1, name) + Field(2, Number(1, kind) + Field(3, Field(1, desc))) +
                      Number(3, persistable ? 1 : 0));
}
std::string Operator(const std::string& type, const std::string& attributes = "") {
  return Field(4, Field(1, Field(1, "X") + Field(2, "x")) + Field(3, type) + attributes);
}
std::string Program(const std::string& more) {
  return Field(1, Number(1, 0) + Number(2, ~0ULL) + more) + Field(4, Number(1, 0));
}

// One tensor of .pdiparams.
base::Bytes Tensor(const std::string& desc, std::size_t data_bytes) {
  return ByteWriter()
      .U32(0)
      .U64(0)
      .U32(0)
      .U32(static_cast<std::uint32_t>(desc.size()))
      .Text(desc)
      .Zeros(data_bytes)
      .Take();
}
base::Bytes operator+(base::Bytes left, const base::Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

model::Facts Read(base::ByteView bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParsePaddle(source, budget, tensors);
}
model::Facts Read(const std::string& bytes) { return Read(base::AsBytes(bytes)); }
FileEnds Ends(base::ByteView bytes) {
  const std::size_t head = std::min(bytes.size(), kSniffHeadBytes);
  const std::size_t tail = std::min(bytes.size(), kSniffTailBytes);
  return {bytes.first(head), bytes.last(tail), bytes.size()};
}
bool Looks(base::ByteView bytes) { return LooksLikePaddle(Ends(bytes)); }
bool Looks(const std::string& bytes) { return Looks(base::AsBytes(bytes)); }

TEST(Paddle, CountsTheParametersOfAProgram) {
  const std::string bytes =
      Program(Variable("feed", "", 9) + Variable("x", Desc(kF32, {~0ULL, 3}), 7, false) +
              Variable("w", Desc(kF32, {3, 4})) + Variable("b", Desc(kF16, {4})) + Operator("mul"));
  ASSERT_TRUE(Looks(bytes));
  EXPECT_FALSE(LooksLikeTfGraph(Ends(base::AsBytes(bytes))));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kPaddle);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_EQ(facts.parameters, 16U);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Paddle, RecognisesAProgramThatBeginsWithAnOperator) {
  EXPECT_TRUE(Looks(Program(Operator("feed"))));
  EXPECT_TRUE(Looks(Program(Field(4, Field(3, "feed")))));
}

TEST(Paddle, TellsOfFilesThatAProgramNamesElsewhere) {
  const auto with = [](const char* type, const char* path) {
    const std::string attribute = Field(4, Field(1, "file_path") + Number(2, 2) + Field(5, path));
    return Read(Program(Operator(type, attribute)));
  };
  EXPECT_TRUE(with("load_combine", "params").risks.empty());
  EXPECT_TRUE(with("scale", "/etc/passwd").risks.empty());
  for (const char* type : {"load", "load_combine", "save", "save_combine"}) {
    EXPECT_TRUE(HasRisk(with(type, "/etc/passwd"), "external_data_escapes", Severity::kHigh));
    EXPECT_TRUE(HasRisk(with(type, "../x"), "external_data_escapes", Severity::kHigh));
  }
}

TEST(Paddle, TellsOfPythonFunctions) {
  EXPECT_TRUE(HasRisk(Read(Program(Operator("py_func"))), "custom_operators", Severity::kMedium));
}

TEST(Paddle, GivesNoCountThatIsNotKnown) {
  EXPECT_EQ(Read(Program(Variable("w", Desc(kF32, {~0ULL, 4})))).parameters, std::nullopt);
  EXPECT_EQ(Read(Program(Variable("w", Desc(kF32, {1ULL << 40, 1ULL << 40})))).parameters,
            std::nullopt);
}

TEST(Paddle, SaysThatAProgramWasCutOff) {
  std::string bytes = Program(Variable("w", Desc(kF32, {3, 4})) + Operator("mul"));
  bytes.resize(bytes.size() - 10);
  ASSERT_TRUE(Looks(bytes));
  EXPECT_EQ(Read(bytes).format, Format::kPaddle);
  EXPECT_TRUE(HasRisk(Read(bytes), "malformed", Severity::kHigh));
}

TEST(Paddle, CountsTheTensorsOfAFileOfParameters) {
  const base::Bytes bytes =
      Tensor(Desc(kF32, {3, 4}), 48) + Tensor(Desc(kF16, {5}), 10) + Tensor(Desc(kF32, {0, 4}), 0);
  ASSERT_TRUE(Looks(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kPaddle);
  EXPECT_EQ(facts.tensor_count, 3U);
  EXPECT_EQ(facts.parameters, 17U);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Paddle, PassesOverTheLevelsOfATensor) {
  const std::string desc = Desc(kF32, {2});
  const base::Bytes leveled = ByteWriter()
                                  .U32(0)
                                  .U64(1)
                                  .U64(8)
                                  .Zeros(8)
                                  .U32(0)
                                  .U32(static_cast<std::uint32_t>(desc.size()))
                                  .Text(desc)
                                  .Zeros(8)
                                  .Take();
  const model::Facts facts = Read(Tensor(desc, 8) + leveled);
  EXPECT_EQ(facts.parameters, 4U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Paddle, SaysWhatIsBrokenAboutATensor) {
  const auto evidence = [](const base::Bytes& bytes) {
    const model::Facts facts = Read(bytes);
    EXPECT_EQ(facts.parameters, std::nullopt);
    const model::Risk* risk = FindRisk(facts, "malformed");
    return risk == nullptr ? std::string() : risk->evidence;
  };
  const base::Bytes good = Tensor(Desc(kF32, {2}), 8);
  EXPECT_EQ(evidence(Tensor(Desc(kF32, {4}), 12)),
            "a tensor of 16 bytes past the end at offset 0x0");
  EXPECT_EQ(evidence(good + Tensor(Desc(99, {4}), 16)),
            "elements of the unknown type 99 at offset 0x20");
  EXPECT_EQ(evidence(good + Tensor(Desc(kF32, {~0ULL}), 16)),
            "a tensor of extents that can't be at offset 0x20");
  EXPECT_EQ(evidence(good + ByteWriter().U32(1).Zeros(40).Take()),
            "a tensor of version 1 at offset 0x20");
  EXPECT_EQ(evidence(good + ByteWriter().U32(0).U64(~0ULL).Take()),
            "a tensor of 18446744073709551615 levels at offset 0x24");
  EXPECT_EQ(evidence(good + ByteWriter().U32(0).U64(0).U32(0).U32(0xffffffff).Take()),
            "a description of 4294967295 bytes at offset 0x20");
  EXPECT_EQ(evidence(good + base::Bytes(2)), "the file ends too early at offset 0x20");
}

TEST(Paddle, PassesOverWeights) {
  const base::Bytes bytes = Tensor(Desc(kF16, {1ULL << 32}), 0);
  CountedSource source(bytes, bytes.size() + (8ULL << 30));
  WorkBudget budget;
  TensorMapWriter tensors(true);
  const model::Facts facts = ParsePaddle(source, budget, tensors);
  EXPECT_EQ(facts.parameters, 1ULL << 32);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(Paddle, IsNoOtherFile) {
  EXPECT_FALSE(Looks(std::string()));
  EXPECT_FALSE(Looks(base::Bytes(4'096)));
  EXPECT_FALSE(Looks(Tensor(Desc(99, {4}), 16)));
  EXPECT_FALSE(Looks(Tensor(Number(2, 4), 16)));
  EXPECT_FALSE(Looks(Tensor(Desc(kF32, {4}) + Number(3, 1), 16)));
  EXPECT_FALSE(Looks(Field(1, Field(1, "name") + Field(2, "Const"))));  // TensorFlow
  EXPECT_FALSE(Looks(Field(1, Number(1, 0) + Number(2, 0))));
  EXPECT_FALSE(Looks(Field(1, Number(1, 7) + Number(2, 0) + Operator("mul"))));
  EXPECT_FALSE(Looks(Number(1, 8) + Field(2, "pytorch")));
  EXPECT_EQ(Read(Program("") + Field(7, "x")).format, Format::kUnknown);
}

TEST(Paddle, EndsWithinItsBudget) {
  base::Bytes bytes;
  const base::Bytes tensor = Tensor(Desc(kF32, {0}), 0);
  for (int i = 0; i < 10'000; ++i) bytes.insert(bytes.end(), tensor.begin(), tensor.end());
  MemorySource source(bytes);
  WorkBudget budget(1'000'000);
  TensorMapWriter tensors(true);
  const model::Facts facts = ParsePaddle(source, budget, tensors);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_EQ(facts.parameters, std::nullopt);
}

}  // namespace
}  // namespace weighmaster::agent::formats
