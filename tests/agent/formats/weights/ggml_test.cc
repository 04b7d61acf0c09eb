#include "agent/formats/weights/ggml.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using model::WeightsReason;
using tests::ByteWriter;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kF16 = 1;
constexpr std::uint32_t kQ4 = 2;
constexpr std::uint32_t kNewBlocks = 2'000;  // beside the type of a file

bool LooksLike(const base::Bytes& bytes) {
  const base::ByteView view(bytes);
  return LooksLikeGgml({view.first(std::min<std::size_t>(view.size(), 4'096)), {}, view.size()});
}

model::Facts Read(ByteSource& source, std::uint64_t units = base::limits::kMaxParseWork) {
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseGgml(source, budget, tensors);
}

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  return Read(source);
}

TensorMap Map(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  ParseGgml(source, budget, tensors);
  return TensorMap::Decode(std::move(tensors).Take(), bytes.size()).value();
}

// A file of ggml's, from its mark on.
class GgmlWriter {
 public:
  explicit GgmlWriter(std::string_view mark, std::uint32_t version = 0) : mark_(mark) {
    bytes_.Text(mark);
    if (version > 0) bytes_.U32(version);
  }

  GgmlWriter& Numbers(const std::vector<std::uint32_t>& numbers) {
    for (const std::uint32_t number : numbers) bytes_.U32(number);
    return *this;
  }
  GgmlWriter& Words(std::uint32_t count, bool scores) {
    for (std::uint32_t i = 0; i < count; ++i) {
      bytes_.U32(i % 7).Text(std::string(i % 7, 'w'));
      if (scores) bytes_.U32(0xc0000000);
    }
    return *this;
  }
  GgmlWriter& Floats(std::uint32_t count) {
    bytes_.Zeros(std::size_t{4} * count);
    return *this;
  }
  // The innermost extent first.
  GgmlWriter& Tensor(const std::vector<std::uint32_t>& dims, std::uint32_t type, std::size_t size,
                     const std::string& name = "layers.0.weight") {
    bytes_.U32(static_cast<std::uint32_t>(dims.size()));
    bytes_.U32(static_cast<std::uint32_t>(name.size())).U32(type);
    Numbers(dims);
    bytes_.Text(name);
    if (mark_ == "tjgg" || mark_ == "algg") bytes_.Zeros((32 - bytes_.size() % 32) % 32);
    bytes_.Zeros(size);
    return *this;
  }
  base::Bytes Take() { return bytes_.Take(); }

 private:
  std::string mark_;
  ByteWriter bytes_;
};

// Words, width, multiple, heads, layers, rotated, type.
const std::vector<std::uint32_t> kLlama = {20, 64, 32, 4, 2, 16, 2};

GgmlWriter Llama(std::string_view mark, std::uint32_t version) {
  GgmlWriter writer(mark, version);
  writer.Numbers(kLlama).Words(20, version > 0);
  return writer;
}

std::vector<std::uint32_t> WhisperNumbers(std::uint32_t type) {
  return {51'864, 1'500, 384, 6, 4, 448, 384, 6, 4, 80, type};
}

GgmlWriter Whisper(std::uint32_t type) {
  GgmlWriter writer("lmgg");
  writer.Numbers(WhisperNumbers(type)).Numbers({80, 201}).Floats(80 * 201);
  writer.Numbers({30}).Words(30, false);
  return writer;
}

TEST(Ggml, ReadsEveryContainerOfLlama) {
  struct Case {
    const char* mark;
    std::uint32_t version;
    std::size_t block;
  };
  for (const Case& container : {Case{"lmgg", 0, 20}, Case{"fmgg", 1, 20}, Case{"tjgg", 1, 20},
                                Case{"tjgg", 2, 20}, Case{"tjgg", 3, 18}}) {
    const base::Bytes bytes = Llama(container.mark, container.version)
                                  .Tensor({64}, kF32, 256)
                                  .Tensor({64, 20}, kQ4, 40 * container.block)
                                  .Take();
    EXPECT_TRUE(LooksLike(bytes));
    const model::Facts facts = Read(bytes);
    EXPECT_EQ(facts.format, Format::kGgml);
    EXPECT_EQ(facts.architecture, "llama");
    EXPECT_EQ(facts.quantization, "Q4_0");
    EXPECT_EQ(facts.parameters, 64U + 64 * 20);
    EXPECT_EQ(facts.tensor_count, 2U);
    EXPECT_TRUE(facts.risks.empty()) << container.mark << container.version;
  }
}

TEST(Ggml, TellsWhisperApart) {
  const base::Bytes bytes =
      Whisper(kF16)
          .Tensor({3, 80, 384}, kF16, 2UL * 3 * 80 * 384, "encoder.conv1.weight")
          .Tensor({1, 384}, kF32, 4UL * 384, "encoder.conv1.bias")
          .Take();
  EXPECT_TRUE(LooksLike(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.architecture, "whisper");
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_EQ(facts.parameters, 3U * 80 * 384 + 384);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Ggml, KnowsTheBlocksOfAFileByTheirVersion) {
  EXPECT_TRUE(Read(Whisper(2).Tensor({32}, kQ4, 20).Tensor({1}, kF32, 4).Take()).risks.empty());
  EXPECT_TRUE(Read(Whisper(kNewBlocks + 2).Tensor({32}, kQ4, 18).Tensor({1}, kF32, 4).Take())
                  .risks.empty());
  EXPECT_TRUE(HasRisk(Read(Whisper(2).Tensor({32}, kQ4, 18).Tensor({1}, kF32, 4).Take()),
                      "malformed", Severity::kHigh));
}

TEST(Ggml, KnowsOtherFamiliesByTheirNumbersAndWords) {
  const auto name = [](GgmlWriter& writer) {
    const base::Bytes bytes = writer.Tensor({64, 8}, kF32, 4UL * 64 * 8).Take();
    EXPECT_TRUE(LooksLike(bytes));
    const model::Facts facts = Read(bytes);
    EXPECT_TRUE(facts.risks.empty());
    EXPECT_EQ(facts.parameters, 512U);
    return facts.architecture;
  };
  GgmlWriter gptj("lmgg");
  EXPECT_EQ(name(gptj.Numbers({40, 2'048, 64, 4, 2, 8, 1}).Numbers({40}).Words(40, false)), "gptj");
  GgmlWriter gpt2("lmgg");
  EXPECT_EQ(name(gpt2.Numbers({40, 1'024, 64, 4, 2, 1}).Numbers({40}).Words(40, false)), "gpt2");
  GgmlWriter gptneox("lmgg");
  EXPECT_EQ(name(gptneox.Numbers({40, 2'048, 64, 4, 2, 16, 1, 1}).Words(40, false)), "gptneox");
  GgmlWriter mpt("lmgg");
  EXPECT_EQ(name(mpt.Numbers({64, 2'048, 4, 2, 40, 0x41000000, 0, 1}).Words(40, false)), "mpt");
  GgmlWriter replit("lmgg");
  EXPECT_EQ(name(replit.Numbers({64, 2'048, 4, 2, 40, 1}).Words(40, true)), "replit");
  GgmlWriter bloom("lmgg");
  EXPECT_EQ(name(bloom.Numbers({40, 64, 1, 4, 2, 1}).Words(40, false)), "bloom");
  GgmlWriter bert("lmgg");
  EXPECT_EQ(name(bert.Numbers({40, 512, 64, 1'024, 4, 2, 1}).Words(40, false)), "bert");
  GgmlWriter parakeet("lmgg");
  parakeet.Numbers({40, 5'000, 64, 8, 4, 80, 1, 512, 8, 256, 640, 2, 5, 10});
  parakeet.Numbers({80, 257}).Floats(80 * 257).Numbers({400}).Floats(400).Floats(5);
  EXPECT_EQ(name(parakeet.Numbers({40}).Words(40, false)), "parakeet");
}

TEST(Ggml, GivesTheKindThatAFileNamesAndNoMore) {
  const base::Bytes bytes =
      ByteWriter().Text("lmgg").U32(10).Text("silero-16k").U32(5).Zeros(64).Take();
  EXPECT_TRUE(LooksLike(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kGgml);
  EXPECT_EQ(facts.architecture, "silero-16k");
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Ggml, RaisesNoAlarmForAFamilyThatItDoesNotKnow) {
  GgmlWriter unknown("lmgg");
  const base::Bytes bytes =
      unknown.Numbers({768, 12, 12, 8, 64, 0x3f800000, 99'999}).Floats(500).Take();
  EXPECT_TRUE(LooksLike(bytes));
  EXPECT_EQ(Read(bytes).format, Format::kGgml);
  EXPECT_TRUE(Read(bytes).risks.empty());
  EXPECT_EQ(Map(bytes).reason(), WeightsReason::kIncomplete);
  GgmlWriter rwkv("fmgg", 101);
  const base::Bytes other = rwkv.Numbers({50'277, 768, 12, 1}).Floats(500).Take();
  EXPECT_TRUE(LooksLike(other));
  EXPECT_EQ(Read(other).architecture, "rwkv");
  EXPECT_TRUE(Read(other).risks.empty());
}

TEST(Ggml, ReadsALora) {
  GgmlWriter writer("algg", 1);
  writer.Numbers({8, 16}).Tensor({64, 8}, kF32, 2'048, "layers.0.attention.wq.weight.loraA");
  const base::Bytes bytes = writer.Tensor({64, 8}, kF32, 2'048, "layers.0.wq.weight.loraB").Take();
  EXPECT_TRUE(LooksLike(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.architecture, "lora");
  EXPECT_EQ(facts.parameters, 1'024U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Ggml, ReadsAVocabularyAlone) {
  const model::Facts facts = Read(Llama("tjgg", 3).Take());
  EXPECT_EQ(facts.architecture, "llama");
  EXPECT_EQ(facts.tensor_count, 0U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Ggml, SaysWhereAFileIsBroken) {
  const base::Bytes good = Llama("tjgg", 3).Tensor({64, 20}, kF32, 5'120).Take();
  // In the data of a tensor, in its beginning, and among the words.
  for (const std::size_t size : {good.size() - 1, good.size() - 5'120 - 30, std::size_t{100}}) {
    base::Bytes cut = good;
    cut.resize(size);
    const model::Facts facts = Read(cut);
    EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << size;
    EXPECT_EQ(facts.architecture, "llama");
    EXPECT_EQ(facts.parameters, std::nullopt);
  }
  base::Bytes behind = good;
  behind.resize(behind.size() + 100);
  EXPECT_TRUE(HasRisk(Read(behind), "malformed", Severity::kHigh));
  const base::Bytes blocks = Llama("tjgg", 3).Tensor({64}, kF32, 256).Tensor({33}, kQ4, 18).Take();
  ASSERT_TRUE(HasRisk(Read(blocks), "malformed", Severity::kHigh));
  EXPECT_NE(FindRisk(Read(blocks), "malformed")->evidence.find("whole number of blocks"),
            std::string::npos);
  EXPECT_TRUE(HasRisk(Read(Llama("tjgg", 3).Tensor({~0U >> 1, ~0U >> 1, 4}, kF32, 64).Take()),
                      "malformed", Severity::kHigh));
}

TEST(Ggml, SaysThatAVersionOrATypeIsTooNew) {
  EXPECT_TRUE(HasRisk(Read(Llama("tjgg", 4).Take()), "unsupported_version", Severity::kLow));
  const base::Bytes type = Llama("tjgg", 3).Tensor({64}, 60, 64).Take();
  EXPECT_TRUE(HasRisk(Read(type), "unsupported_version", Severity::kLow));
}

TEST(Ggml, FindsTensorsOrSaysWhyNot) {
  const base::Bytes bytes =
      Llama("tjgg", 3).Tensor({64, 20}, kF16, 2'560).Tensor({64}, kQ4, 36).Take();
  const TensorMap map = Map(bytes);
  ASSERT_EQ(map.size(), 2U);
  EXPECT_EQ(map.At(0).dims, (std::vector<std::uint64_t>{20, 64}));
  EXPECT_EQ(map.At(0).type->name, "F16");
  EXPECT_EQ(map.BeginAt(0) % 32, 0U);
  EXPECT_EQ(map.BytesAt(0), 2'560U);
  EXPECT_EQ(map.At(1).type->name, "Q4_0");
  const base::Bytes old = Llama("tjgg", 2).Tensor({64}, kQ4, 40).Take();
  EXPECT_EQ(Map(old).reason(), WeightsReason::kUnknownType);
  base::Bytes cut = bytes;
  cut.pop_back();
  EXPECT_EQ(Map(cut).reason(), WeightsReason::kIncomplete);
}

TEST(Ggml, PassesOverWeights) {
  // 8 GiB of one tensor.
  const base::Bytes head = Llama("tjgg", 3).Tensor({1U << 16, 1U << 15}, kF32, 0).Take();
  CountedSource source(head, head.size() + (8ULL << 30));
  const model::Facts facts = Read(source);
  EXPECT_EQ(facts.parameters, 1ULL << 31);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(Ggml, IsOpaqueWhenItsWordsTakeAllItsWork) {
  GgmlWriter writer("lmgg");
  const base::Bytes head = writer.Numbers({1U << 20, 64, 32, 4, 2, 16, 2}).Take();
  CountedSource source(head, 100ULL << 30);
  EXPECT_TRUE(HasRisk(Read(source, 1'000'000), "opaque", Severity::kHigh));
}

TEST(Ggml, IsNoSessionAndNoTextThatBeginsAlike) {
  for (const char* mark : {"nsgg", "qsgg"}) {
    EXPECT_FALSE(LooksLike(GgmlWriter(mark, 1).Numbers(kLlama).Take())) << mark;
  }
  EXPECT_FALSE(LooksLike(ByteWriter().Text("lmgg and other letters that follow").Take()));
  EXPECT_FALSE(LooksLike(ByteWriter().Text("tjgg and other letters that follow").Take()));
  EXPECT_FALSE(LooksLike(ByteWriter().Text("ggml").U32(3).U32(4).U32(5).U32(6).Take()));
  EXPECT_FALSE(LooksLike(ByteWriter().Text("lmgg").U32(0).U32(4).U32(5).U32(6).Take()));
  EXPECT_FALSE(LooksLike(ByteWriter().Text("lmgg").U32(3).Take()));
}

}  // namespace
}  // namespace weighmaster::agent::formats
