#include "agent/formats/coreml/coreml_weights.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ByteWriter;

constexpr std::uint32_t kF16 = 1, kF32 = 2, kI4 = 8, kU3 = 12;

// A storage as its own writer makes one; a test departs from it by the fields of Blob.
class Storage {
 public:
  struct Blob {
    std::uint32_t type = kF16;
    std::uint64_t bytes = 0;
    std::uint64_t padding_bits = 0;
    std::uint32_t sentinel = 0xdeadbeef;
    std::uint64_t shift = 0;  // of where it says its data lie
  };

  Storage& Add(const Blob& blob) {
    Pad();
    out_.U32(blob.sentinel).U32(blob.type).U64(blob.bytes);
    out_.U64(kHeader + out_.size() + 48 + blob.shift).U64(blob.padding_bits).Zeros(32);
    out_.Zeros(static_cast<std::size_t>(blob.bytes));
    ++count_;
    return *this;
  }
  base::Bytes Build() { return Build(count_); }
  base::Bytes Build(std::uint32_t claimed) {
    base::Bytes bytes = ByteWriter().U32(claimed).U32(2).Zeros(56).Take();
    const base::Bytes blobs = out_.Take();
    bytes.insert(bytes.end(), blobs.begin(), blobs.end());
    return bytes;
  }

 private:
  static constexpr std::uint64_t kHeader = 64;
  void Pad() { out_.Zeros((64 - out_.size() % 64) % 64); }

  ByteWriter out_;
  std::uint32_t count_ = 0;
};

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseCoreMlWeights(source, budget, tensors);
}
bool Looks(const base::Bytes& bytes) { return LooksLikeCoreMlWeights({bytes, {}, bytes.size()}); }

void ExpectMalformed(const base::Bytes& bytes, std::string_view evidence) {
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kCoreMlWeights);
  const model::Risk* risk = FindRisk(facts, "malformed");
  ASSERT_NE(risk, nullptr) << evidence;
  EXPECT_NE(risk->evidence.find(evidence), std::string::npos) << risk->evidence;
  EXPECT_EQ(facts.parameters, std::nullopt);
}

TEST(CoreMlWeights, CountsElementsByTheirBytes) {
  const base::Bytes bytes =
      Storage().Add({kF16, 20}).Add({kF32, 8}).Add({kI4, 3, 4}).Add({kU3, 2, 1}).Build();
  ASSERT_TRUE(Looks(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kCoreMlWeights);
  EXPECT_EQ(facts.tensor_count, 4U);
  EXPECT_EQ(facts.parameters, 10U + 2U + 5U + 5U);
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(CoreMlWeights, DoesNotBelievePaddingWhereThereIsNone) {
  EXPECT_EQ(Read(Storage().Add({kF16, 4, 99}).Build()).parameters, 2U);
}

TEST(CoreMlWeights, SaysThatABlobIsNone) {
  ExpectMalformed(Storage().Add({kF16, 64}).Add({kF16, 4, 0, 1}).Build(), "without its mark");
  ExpectMalformed(Storage().Add({kF16, 4}).Add({kF16, 4, 0, 0xdeadbeef, 1}).Build(),
                  "a blob of 4 bytes");
  ExpectMalformed(Storage().Add({kF16, 4}).Add({kF16, 4, 0, 0xdeadbeef, 1U << 20}).Build(),
                  "a blob of 4 bytes");
  ExpectMalformed(Storage().Add({kF16, 3}).Build(), "no whole number");
  ExpectMalformed(Storage().Add({kI4, 3, 9}).Build(), "no whole number");
}

TEST(CoreMlWeights, SaysThatItEndsTooEarly) {
  base::Bytes bytes = Storage().Add({kF16, 64}).Add({kF16, 64}).Build();
  bytes.resize(bytes.size() - 1);
  ASSERT_TRUE(Looks(bytes));
  ExpectMalformed(bytes, "a blob of 64 bytes");
  EXPECT_EQ(Read(bytes).tensor_count, 1U);
  bytes.resize(64 + 128 + 10);
  ExpectMalformed(bytes, "ends too early");
}

TEST(CoreMlWeights, SaysThatItsCountLies) {
  ExpectMalformed(Storage().Add({kF16, 64}).Build(4), "a count of 4 blobs");
  ExpectMalformed(Storage().Add({kF16, 64}).Build(2), "ends too early");
  EXPECT_TRUE(HasRisk(Read(Storage().Add({kF16, 64}).Add({kF16, 64}).Build(1)), "trailing_data",
                      Severity::kMedium));
}

TEST(CoreMlWeights, TellsOfBytesBehindTheLastBlob) {
  base::Bytes bytes = Storage().Add({kF16, 4}).Build();
  bytes.resize(64 + 64 + 64);  // filled up to where the next would begin
  EXPECT_TRUE(Read(bytes).risks.empty());
  bytes.resize(bytes.size() + 1);
  EXPECT_TRUE(HasRisk(Read(bytes), "trailing_data", Severity::kMedium));
}

TEST(CoreMlWeights, CountsBlobsOfANewerType) {
  const model::Facts facts = Read(Storage().Add({kF16, 4}).Add({77, 5}).Build());
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(CoreMlWeights, IsNoOtherFile) {
  EXPECT_FALSE(Looks({}));
  EXPECT_FALSE(Looks(base::Bytes(4'096)));
  EXPECT_FALSE(Looks(Storage().Build(0)));
  EXPECT_FALSE(Looks(Storage().Add({kF16, 64}).Build(0)));
  EXPECT_FALSE(Looks(Storage().Add({kF16, 64, 0, 1}).Build()));
  EXPECT_FALSE(Looks(Storage().Add({kF16, 64, 0, 0xdeadbeef, 64}).Build()));
  base::Bytes espresso = Storage().Add({kF16, 64}).Build();
  espresso[4] = 1;
  EXPECT_FALSE(Looks(espresso));
}

TEST(CoreMlWeights, PassesOverWeights) {
  const std::uint64_t weights = 8ULL << 30;
  const base::Bytes bytes = ByteWriter()
                                .U32(1)
                                .U32(2)
                                .Zeros(56)
                                .U32(0xdeadbeef)
                                .U32(kF16)
                                .U64(weights)
                                .U64(128)
                                .U64(0)
                                .Zeros(32)
                                .Take();
  CountedSource source(bytes, bytes.size() + weights);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  const model::Facts facts = ParseCoreMlWeights(source, budget, tensors);
  EXPECT_EQ(facts.parameters, weights / 2);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(CoreMlWeights, EndsWithinItsBudgetWhateverTheCountSays) {
  WorkBudget budget(10'000);
  Storage storage;
  for (int i = 0; i < 1'000; ++i) storage.Add({kF16, 64});
  const base::Bytes bytes = storage.Build();
  MemorySource source(bytes);
  TensorMapWriter tensors(true);
  EXPECT_TRUE(HasRisk(ParseCoreMlWeights(source, budget, tensors), "opaque", Severity::kHigh));
  ExpectMalformed(Storage().Add({kF16, 64}).Build(0xffffffff), "a count of 4294967295 blobs");
}

}  // namespace
}  // namespace weighmaster::agent::formats
