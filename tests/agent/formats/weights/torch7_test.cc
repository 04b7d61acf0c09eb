#include "agent/formats/weights/torch7.h"

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

bool LooksLike(const base::Bytes& bytes) {
  const base::ByteView view(bytes);
  return LooksLikeTorch7({view.first(std::min<std::size_t>(view.size(), 4'096)), {}, view.size()});
}

model::Facts Read(ByteSource& source, std::uint64_t units = base::limits::kMaxParseWork) {
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseTorch7(source, budget, tensors);
}

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  return Read(source);
}

// Objects as File.lua writes them, each with the next number.
class TorchWriter {
 public:
  explicit TorchWriter(bool short_longs = false) : short_longs_(short_longs) {}

  TorchWriter& Text(std::string_view text) {
    bytes_.U32(2);
    return Chars(text);
  }
  TorchWriter& Number() {
    bytes_.U32(1).U64(0x3ff0000000000000);
    return *this;
  }
  TorchWriter& Boolean() {
    bytes_.U32(5).U32(1);
    return *this;
  }
  TorchWriter& Table(std::uint32_t pairs) {
    bytes_.U32(3).U32(++index_).U32(pairs);
    return *this;
  }
  TorchWriter& Again(std::uint32_t type, std::uint32_t index) {
    bytes_.U32(type).U32(index);
    return *this;
  }
  TorchWriter& Class(std::string_view name, bool version = true) {
    bytes_.U32(4).U32(++index_);
    if (version) Chars("V 1");
    return Chars(name);
  }
  TorchWriter& Function(std::string_view code = "\x1bLJ\x01") {
    bytes_.U32(8).U32(++index_);
    return Chars(code);
  }
  // With its storage.
  TorchWriter& Tensor(const std::string& element, const std::vector<std::uint64_t>& shape,
                      std::size_t bytes) {
    Class("torch." + element + "Tensor");
    bytes_.U32(static_cast<std::uint32_t>(shape.size()));
    std::uint64_t elements = 1;
    for (const std::uint64_t extent : shape) {
      Long(extent);
      elements *= extent;
    }
    for (std::size_t i = 0; i < shape.size(); ++i) Long(1);
    Long(1);
    Class("torch." + element + "Storage");
    Long(elements);
    bytes_.Zeros(bytes);
    return *this;
  }
  TorchWriter& Chars(std::string_view text) {
    bytes_.U32(static_cast<std::uint32_t>(text.size())).Text(text);
    return *this;
  }
  TorchWriter& Long(std::uint64_t value) {
    if (short_longs_) {
      bytes_.U32(static_cast<std::uint32_t>(value));
    } else {
      bytes_.U64(value);
    }
    return *this;
  }
  tests::ByteWriter& bytes() { return bytes_; }
  base::Bytes Take() { return bytes_.Take(); }

 private:
  bool short_longs_;
  std::uint32_t index_ = 0;
  tests::ByteWriter bytes_;
};

// A sequence of one linear module, with what a run left over.
TorchWriter Network(bool short_longs = false) {
  TorchWriter writer(short_longs);
  writer.Class("nn.Sequential").Table(2).Text("train").Boolean().Text("modules").Table(1).Number();
  writer.Class("nn.Linear").Table(4);
  writer.Text("weight").Tensor("Float", {10, 4}, 160);
  writer.Text("bias").Tensor("Float", {10}, 40);
  writer.Text("gradWeight").Tensor("Float", {10, 4}, 160);
  writer.Text("output").Again(4, 5);
  return writer;
}

TEST(Torch7, ReadsClassTypesAndCounts) {
  for (const bool short_longs : {false, true}) {
    const base::Bytes bytes = Network(short_longs).Take();
    EXPECT_TRUE(LooksLike(bytes));
    const model::Facts facts = Read(bytes);
    EXPECT_EQ(facts.format, Format::kTorch7);
    EXPECT_EQ(facts.architecture, "nn.Sequential");
    EXPECT_EQ(facts.quantization, "F32");
    EXPECT_EQ(facts.parameters, 50U);
    EXPECT_EQ(facts.tensor_count, 3U);
    EXPECT_TRUE(facts.risks.empty()) << short_longs;
  }
}

TEST(Torch7, ReadsTablesOfTensorsAndFilesWithoutVersions) {
  TorchWriter table;
  table.Table(2).Text("a").Tensor("CudaHalf", {3}, 6).Text("b").Tensor("Cuda", {2}, 8);
  const base::Bytes bytes = table.Take();
  EXPECT_TRUE(LooksLike(bytes));
  EXPECT_EQ(Read(bytes).parameters, 5U);
  EXPECT_EQ(Read(bytes).quantization, "F16");
  EXPECT_TRUE(Read(bytes).risks.empty());
  TorchWriter old;
  const base::Bytes without = old.Class("nn.Linear", false).Table(0).Take();
  EXPECT_TRUE(LooksLike(without));
  EXPECT_EQ(Read(without).architecture, "nn.Linear");
  EXPECT_TRUE(Read(without).risks.empty());
}

TEST(Torch7, TellsOfFunctions) {
  TorchWriter writer;
  writer.Table(2).Text("f").Function().Table(0).Text("g").Class("nn.Identity").Table(0);
  const base::Bytes bytes = writer.Take();
  EXPECT_TRUE(LooksLike(bytes));
  const model::Facts facts = Read(bytes);
  ASSERT_TRUE(HasRisk(facts, "opaque", Severity::kMedium));
  EXPECT_EQ(facts.risks.size(), 1U);
  EXPECT_EQ(facts.architecture, "nn.Identity");
}

TEST(Torch7, SaysThatAClassMayReadItselfInAnotherWay) {
  TorchWriter writer;
  writer.Table(1).Text("h").Class("tds.Hash").bytes().U64(99).U32(77);
  const model::Facts facts = Read(writer.Take());
  ASSERT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_NE(FindRisk(facts, "opaque")->evidence.find("tds.Hash"), std::string::npos);
}

TEST(Torch7, SaysWhereAFileIsBroken) {
  const base::Bytes good = Network().Take();
  for (const std::size_t size : {good.size() - 1, good.size() - 100, good.size() / 2}) {
    base::Bytes cut = good;
    cut.resize(size);
    const model::Facts facts = Read(cut);
    EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh)) << size;
    EXPECT_EQ(facts.parameters, std::nullopt);
  }
  TorchWriter type;
  type.Class("nn.Linear").bytes().U32(9);
  EXPECT_TRUE(HasRisk(Read(type.Take()), "malformed", Severity::kHigh));
  TorchWriter storage;
  storage.Class("torch.FloatStorage").Long(1ULL << 62);
  EXPECT_FALSE(LooksLike(base::Bytes(8)));
  EXPECT_TRUE(HasRisk(Read(storage.Take()), "malformed", Severity::kHigh));
  TorchWriter shape;
  shape.Class("torch.FloatTensor").bytes().U32(2).U64(~0ULL).U64(~0ULL).Zeros(200);
  EXPECT_TRUE(HasRisk(Read(shape.Take()), "malformed", Severity::kHigh));
}

TEST(Torch7, EndsAtOnceForClaimsOfManyObjects) {
  TorchWriter writer;
  writer.Class("nn.Sequential").Table(0x7fffffff).bytes().Zeros(1'000);
  const base::Bytes bytes = writer.Take();
  CountedSource source(bytes);
  EXPECT_TRUE(HasRisk(Read(source), "malformed", Severity::kHigh));
  EXPECT_LT(source.bytes_read(), 20'000U);
}

TEST(Torch7, TellsOfBytesBehindTheLastObject) {
  TorchWriter writer = Network();
  writer.bytes().Zeros(10);
  EXPECT_TRUE(HasRisk(Read(writer.Take()), "trailing_data", Severity::kMedium));
}

TEST(Torch7, PassesOverElements) {
  TorchWriter writer;
  const base::Bytes head = writer.Tensor("Double", {1U << 15, 1U << 15}, 0).Take();
  CountedSource source(head, head.size() + (8ULL << 30));
  const model::Facts facts = Read(source);
  EXPECT_EQ(facts.parameters, 1ULL << 30);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(Torch7, IsOpaqueWhenItsWorkIsSpent) {
  TorchWriter writer;
  writer.Class("nn.Sequential").Table(100'000);
  writer.bytes().Zeros(800'000);
  const base::Bytes bytes = writer.Take();
  MemorySource source(bytes);
  EXPECT_TRUE(HasRisk(Read(source, 1'000'000), "opaque", Severity::kHigh));
}

TEST(Torch7, IsNoOtherFileThatBeginsWithASmallNumber) {
  TorchWriter plain;
  EXPECT_FALSE(LooksLike(plain.Table(1).Text("a").Text("b").Take()));
  TorchWriter nameless;
  EXPECT_FALSE(LooksLike(nameless.Class("Linear").Take()));
  TorchWriter unknown;
  EXPECT_FALSE(LooksLike(unknown.Class("my.Linear", false).Take()));
  TorchWriter text;
  EXPECT_FALSE(LooksLike(text.Text("nn.Linear").Take()));
  EXPECT_FALSE(LooksLike(base::Bytes(4'096)));
  EXPECT_FALSE(LooksLike(tests::ByteWriter().U32(4).U32(1).U32(3).Text("V x").Zeros(100).Take()));
  EXPECT_FALSE(LooksLike(tests::ByteWriter().U32(3).U32(1).U32(2).Zeros(1'000).Take()));
}

}  // namespace
}  // namespace weighmaster::agent::formats
