#include "agent/formats/runtimes/rknn.h"

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

bool LooksLike(const base::Bytes& bytes) {
  const base::ByteView view(bytes);
  return LooksLikeRknn({view.first(std::min<std::size_t>(view.size(), 4'096)), {}, view.size()});
}

model::Facts Read(ByteSource& source) {
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseRknn(source, budget, tensors);
}

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  return Read(source);
}

base::Bytes Container(std::uint64_t version, const std::string& description,
                      std::uint64_t claimed_data = 64) {
  ByteWriter writer;
  writer.Text("RKNN").U32(0).U64(version).U64(claimed_data);
  if ((version & 0xff) > 1) writer.Zeros(40);
  return writer.Zeros(64).U64(description.size()).Text(description).Zeros(8).Take();
}

const std::string kDescription =
    R"({"name": "mobilenet", "version": "1.7", "nodes": [{"name": "inner"}], "target": ["rk1"]})";

TEST(Rknn, ReadsTheNameOfAModel) {
  for (const std::uint64_t version : {1U, 2U, 6U, 0x1001U}) {
    const base::Bytes bytes = Container(version, kDescription);
    EXPECT_TRUE(LooksLike(bytes)) << version;
    const model::Facts facts = Read(bytes);
    EXPECT_EQ(facts.format, Format::kRknn);
    EXPECT_EQ(facts.name, "mobilenet");
    EXPECT_TRUE(facts.risks.empty());
  }
}

TEST(Rknn, KnowsItsOtherForms) {
  const base::Bytes newer = ByteWriter().Text("RKNX").Zeros(200).Take();
  EXPECT_TRUE(LooksLike(newer));
  EXPECT_TRUE(Read(newer).risks.empty());
  const base::Bytes tables = ByteWriter().U32(16).Text("RKNN").Zeros(100).Take();
  EXPECT_TRUE(LooksLike(tables));
  EXPECT_EQ(Read(tables).format, Format::kRknn);
  EXPECT_TRUE(Read(tables).risks.empty());
}

TEST(Rknn, TellsThatAModelIsEncrypted) {
  const base::Bytes bytes = ByteWriter().Text("CYPTRKNN").Zeros(100).Take();
  EXPECT_TRUE(LooksLike(bytes));
  EXPECT_TRUE(HasRisk(Read(bytes), "opaque", Severity::kHigh));
}

TEST(Rknn, SaysThatLengthsLie) {
  EXPECT_TRUE(HasRisk(Read(Container(1, kDescription, ~0ULL)), "malformed", Severity::kHigh));
  EXPECT_TRUE(HasRisk(Read(Container(1, kDescription, 60)), "malformed", Severity::kHigh));
  base::Bytes cut = Container(1, kDescription);
  cut.resize(cut.size() - 20);
  EXPECT_TRUE(HasRisk(Read(cut), "malformed", Severity::kHigh));
  EXPECT_TRUE(HasRisk(Read(Container(1, "{\"name\": ")), "malformed", Severity::kHigh));
}

TEST(Rknn, SaysThatAContainerIsTooNew) {
  EXPECT_TRUE(
      HasRisk(Read(Container(0x2001, kDescription)), "unsupported_version", Severity::kLow));
}

TEST(Rknn, PassesOverItsData) {
  const base::Bytes head = ByteWriter().Text("RKNN").U32(0).U64(1).U64(8ULL << 30).Zeros(8).Take();
  CountedSource source(head, 9ULL << 30);
  EXPECT_EQ(Read(source).format, Format::kRknn);
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(Rknn, IsNoTextThatBeginsAlike) {
  for (const char* text :
       {"RKNN models are made by the toolkit", "RKNX is its newer form, they say",
        "    RKNN somewhere in a text of some length"}) {
    EXPECT_FALSE(LooksLike(ByteWriter().Text(text).Take())) << text;
  }
  EXPECT_FALSE(LooksLike(ByteWriter().Text("RKNN").Take()));
}

}  // namespace
}  // namespace weighmaster::agent::formats
