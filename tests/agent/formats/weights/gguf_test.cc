#include "agent/formats/weights/gguf.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::GgufWriter;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ4K = 12;

GgufWriter Small() {
  GgufWriter writer;
  writer.Text("general.architecture", "llama").Tensor("a", {8, 2}, kF32, 64);
  return writer;
}

void ExpectMalformed(const base::Bytes& bytes, std::string_view evidence) {
  const model::Facts facts = ParseBytes(bytes);
  EXPECT_EQ(facts.format, Format::kGguf);
  const model::Risk* risk = FindRisk(facts, "malformed");
  ASSERT_NE(risk, nullptr);
  EXPECT_EQ(risk->severity, Severity::kHigh);
  EXPECT_NE(risk->evidence.find(evidence), std::string::npos) << risk->evidence;
}

TEST(Gguf, ReadsWhatItsOwnWriterWrote) {
  for (const char* name : {"tiny.gguf", "tiny_big_endian.gguf"}) {
    const model::Facts facts = ParseBytes(tests::ModelFixture(name));
    EXPECT_EQ(facts.format, Format::kGguf);
    EXPECT_EQ(facts.name, "Tiny Llama");
    EXPECT_EQ(facts.architecture, "llama");
    EXPECT_EQ(facts.license, "apache-2.0");
    EXPECT_EQ(facts.quantization, "Q4_K_M");
    EXPECT_EQ(facts.parameters, 544U);
    EXPECT_EQ(facts.tensor_count, 2U);
    EXPECT_TRUE(facts.risks.empty());
  }
}

TEST(Gguf, ReadsEveryVersionInBothByteOrders) {
  for (const std::uint32_t version : {1U, 2U, 3U}) {
    for (const bool big : {false, true}) {
      GgufWriter writer(version, big);
      writer.Text("general.name", "n").TextArray("tokenizer.ggml.tokens", 9);
      const model::Facts facts = ParseBytes(writer.Tensor("a", {256}, kQ4K, 144).Build());
      EXPECT_EQ(facts.name, "n");
      EXPECT_EQ(facts.parameters, 256U);
      EXPECT_EQ(facts.quantization, "Q4_K");
      EXPECT_TRUE(facts.risks.empty()) << version << big;
    }
  }
}

TEST(Gguf, TakesTheTypeWithMostBytesWhenNoFileTypeIsGiven) {
  GgufWriter writer;
  writer.Tensor("small", {8}, kF32, 32).Tensor("large", {1024}, kQ4K, 576);
  EXPECT_EQ(ParseBytes(writer.Build()).quantization, "Q4_K");
}

TEST(Gguf, FailsAtOnceOnAnImpossibleTensorCount) {
  GgufWriter writer;
  const base::Bytes bytes = writer.ClaimTensors(1ULL << 63).Build();
  CountedSource source(bytes, 1ULL << 40);
  const model::Facts facts = Parse(source);
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(Gguf, RefusesLyingCountsAndLengths) {
  ExpectMalformed(Small().ClaimTensors(1ULL << 63).Build(), "9223372036854775808 tensors");
  ExpectMalformed(Small().ClaimEntries(~0ULL).Build(), "metadata entries");
  ExpectMalformed(Small().ClaimEntries(2).Build(), "");
  base::Bytes bytes = GgufWriter().Text("general.name", "four").Build();
  bytes[24 + 8 + 12 + 4 + 3] = 0xff;  // the length of "four" is now 4 GB
  ExpectMalformed(bytes, "a text of 4278190084 bytes");
}

TEST(Gguf, AppliesTheRulesOfLlamaCpp) {
  ExpectMalformed(GgufWriter().Text("a", "1").Text("a", "2").Build(), "a second time");
  ExpectMalformed(GgufWriter().Tensor("a", {8}, 0, 32).Tensor("a", {8}, 0, 32).Build(),
                  "a second time");
  ExpectMalformed(GgufWriter().Tensor(std::string(64, 'n'), {8}, 0, 32).Build(), "64 bytes");
  ExpectMalformed(GgufWriter().Tensor("a", {1, 1, 1, 1, 8}, 0, 32).Build(), "5 dimensions");
  ExpectMalformed(GgufWriter().Tensor("a", {~0ULL}, 0, 32).Build(), "too many elements");
  ExpectMalformed(GgufWriter().Tensor("a", {1ULL << 40, 1ULL << 40}, 0, 32).Build(),
                  "too many elements");
  ExpectMalformed(GgufWriter().Tensor("a", {1ULL << 62}, 0, 32).Build(), "too many bytes");
  ExpectMalformed(GgufWriter().Tensor("a", {100}, kQ4K, 144).Build(), "whole number of blocks");
  ExpectMalformed(GgufWriter().U32("general.alignment", 24).Build(), "alignment of 24");
  ExpectMalformed(GgufWriter().Text("general.alignment", "32").U32("", 1).Build(), "");
  GgufWriter gap;
  gap.Tensor("a", {8}, 0, 32).ShiftNextTensor(32).Tensor("b", {8}, 0, 32);
  ExpectMalformed(gap.Build(), "instead of offset 0x20");
  GgufWriter overlap;
  overlap.Tensor("a", {16}, 0, 32).Tensor("b", {8}, 0, 32);
  ExpectMalformed(overlap.Build(), "instead of offset 0x40");
}

TEST(Gguf, SaysThatTheTensorsDoNotFitTheFile) {
  base::Bytes bytes = Small().Build();
  bytes.pop_back();
  ExpectMalformed(bytes, "in a file of");
}

TEST(Gguf, TellsOfBytesAfterTheLastTensor) {
  base::Bytes bytes = Small().Build();
  bytes.resize(bytes.size() + 100);
  const model::Facts facts = ParseBytes(bytes);
  EXPECT_TRUE(HasRisk(facts, "trailing_data", Severity::kMedium));
  EXPECT_EQ(facts.parameters, 16U);
}

TEST(Gguf, TakesAnUnknownTensorTypeForANewerOne) {
  GgufWriter writer;
  writer.Tensor("a", {64}, 9'999, 96).Tensor("b", {8}, kF32, 32);
  const model::Facts facts = ParseBytes(writer.Build());
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_EQ(facts.parameters, 72U);
}

TEST(Gguf, SaysThatAVersionIsTooNew) {
  EXPECT_TRUE(HasRisk(ParseBytes(GgufWriter(4).Build()), "unsupported_version", Severity::kLow));
}

TEST(Gguf, FindsAHostileChatTemplateWhereverItStands) {
  for (const char* key : {"tokenizer.chat_template", "tokenizer.chat_template.tool_use"}) {
    GgufWriter writer;
    writer.Text(key, std::string(200'000, ' ') + "{{ x.__class__ }}");
    EXPECT_TRUE(
        HasRisk(ParseBytes(writer.Build()), "chat_template_reaches_python", Severity::kHigh));
  }
  EXPECT_TRUE(HasRisk(ParseBytes(tests::ModelFixture("hostile_template.gguf")),
                      "chat_template_reaches_python", Severity::kHigh));
  GgufWriter harmless;
  harmless.Text("tokenizer.chat_template", "{{ x.y }}").Text("other", "{{ x.__class__ }}");
  EXPECT_TRUE(ParseBytes(harmless.Build()).risks.empty());
}

TEST(Gguf, CostsNoMoreForALargerFile) {
  const base::Bytes bytes = Small().Build();
  CountedSource small(bytes, 1ULL << 30);
  CountedSource large(bytes, 100ULL << 30);
  Parse(small);
  Parse(large);
  EXPECT_EQ(small.bytes_read(), large.bytes_read());
}

}  // namespace
}  // namespace weighmaster::agent::formats
