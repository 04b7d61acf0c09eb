#include "agent/formats/runtimes/ncnn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ByteWriter;

bool LooksLike(base::ByteView view) {
  return LooksLikeNcnn({view.first(std::min<std::size_t>(view.size(), 4'096)), {}, view.size()});
}

model::Facts Read(base::ByteView bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseNcnn(source, budget, tensors);
}

const std::string kText =
    "7767517\n3 3\n"
    "Input            data             0 1 data 0=227 1=227 2=3\n"
    "Convolution      conv1            1 1 data conv1 0=64 1=3 -23310=2,0,1\n"
    "Softmax          prob             1 1 conv1 prob 0=0\n";

// Two layers: an input, and one with a number, an array and nothing else.
ByteWriter Binary(std::uint32_t layers = 2) {
  constexpr std::uint32_t kEnd = 0xffff'ff17;     // -233
  constexpr std::uint32_t kArray0 = 0xffff'a4fc;  // -23300
  ByteWriter writer;
  writer.U32(7'767'517).U32(layers).U32(2);
  writer.U32(16).U32(0).U32(1).U32(0).U32(0).U32(227).U32(kEnd);
  writer.U32(6).U32(1).U32(1).U32(0).U32(1).U32(kArray0).U32(2).U32(7).U32(8).U32(kEnd);
  return writer;
}

TEST(Ncnn, KnowsTextAndBinary) {
  for (const std::string& text : {kText, kText.substr(0, kText.size() - 1)}) {
    EXPECT_TRUE(LooksLike(base::AsBytes(text)));
    const model::Facts facts = Read(base::AsBytes(text));
    EXPECT_EQ(facts.format, Format::kNcnn);
    EXPECT_TRUE(facts.risks.empty());
  }
  const base::Bytes binary = Binary().Take();
  EXPECT_TRUE(LooksLike(binary));
  EXPECT_EQ(Read(binary).format, Format::kNcnn);
  EXPECT_TRUE(Read(binary).risks.empty());
}

TEST(Ncnn, ReadsLinesOfOtherSystems) {
  std::string text;
  for (const char c : kText) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_TRUE(LooksLike(base::AsBytes(text)));
  EXPECT_TRUE(Read(base::AsBytes(text)).risks.empty());
}

TEST(Ncnn, SaysThatLayersAreMissing) {
  const std::string cut = kText.substr(0, kText.rfind("Softmax"));
  const model::Facts facts = Read(base::AsBytes(cut));
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_NE(FindRisk(facts, "malformed")->evidence.find("2 of 3 layers"), std::string::npos);
  EXPECT_TRUE(HasRisk(Read(Binary(3).Take()), "malformed", Severity::kHigh));
}

TEST(Ncnn, SaysThatALineIsNoLayer) {
  EXPECT_TRUE(HasRisk(Read(base::AsBytes(kText.substr(0, kText.rfind("1 1")) + "x y\n")),
                      "malformed", Severity::kHigh));
}

TEST(Ncnn, TellsOfTextBehindTheLastLayer) {
  EXPECT_TRUE(Read(base::AsBytes(kText + "\n\n")).risks.empty());
  EXPECT_TRUE(HasRisk(Read(base::AsBytes(kText + "more\n")), "trailing_data", Severity::kMedium));
}

TEST(Ncnn, SaysThatCountsOfABinaryLie) {
  ByteWriter blobs;
  blobs.U32(7'767'517).U32(1).U32(1).U32(16).U32(1'000'000).U32(1'000'000).Zeros(100);
  EXPECT_TRUE(HasRisk(Read(blobs.Take()), "malformed", Severity::kHigh));
  ByteWriter array;
  array.U32(7'767'517).U32(1).U32(1).U32(16).U32(0).U32(0).U32(0xffff'a4fc).U32(~0U).Zeros(100);
  EXPECT_TRUE(HasRisk(Read(array.Take()), "malformed", Severity::kHigh));
}

TEST(Ncnn, EndsAtOnceForClaimsOfManyLayers) {
  const base::Bytes bytes = ByteWriter().U32(7'767'517).U32(1U << 20).U32(1).Zeros(1'000).Take();
  CountedSource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  EXPECT_TRUE(HasRisk(ParseNcnn(source, budget, tensors), "malformed", Severity::kHigh));
  EXPECT_LT(source.bytes_read(), 20'000U);
}

TEST(Ncnn, IsNoOtherTextOrNumber) {
  for (const char* text :
       {"7767517\n", "7767517\nhello\n", "7767517\n3 3\n", "7767517\n0 0\nInput x 0 1\n",
        "7767517\n3 3\nwords that are no layer\n", "77675171\n3 3\nInput x 0 1\n",
        "7767517 3 3\nInput x 0 1\n", "7767517\n3 3 3\nInput x 0 1\n"}) {
    EXPECT_FALSE(LooksLike(base::AsBytes(text))) << text;
  }
  EXPECT_FALSE(LooksLike(ByteWriter().U32(7'767'517).U32(0).U32(1).Zeros(20).Take()));
  EXPECT_FALSE(LooksLike(ByteWriter().U32(7'767'517).U32(~0U).U32(1).Zeros(20).Take()));
}

}  // namespace
}  // namespace weighmaster::agent::formats
