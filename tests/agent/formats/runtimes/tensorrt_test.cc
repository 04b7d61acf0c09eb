#include "agent/formats/runtimes/tensorrt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

bool LooksLike(const base::Bytes& bytes) {
  const base::ByteView view(bytes);
  return LooksLikeTensorRt(
      {view.first(std::min<std::size_t>(view.size(), 4'096)), {}, view.size()});
}

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseTensorRt(source, budget, tensors);
}

base::Bytes Engine(std::string_view mark, const std::string& metadata = "") {
  tests::ByteWriter writer;
  if (!metadata.empty()) {
    writer.U32(static_cast<std::uint32_t>(metadata.size())).Text(metadata);
  }
  return writer.Text(mark).U32(0x61).U32(0).U64(100).U32(0).Zeros(100).Take();
}

const std::string kMetadata =
    R"({"description": "Ultralytics YOLO11n model trained on coco.yaml", "author": "Ultralytics",)"
    R"( "license": "AGPL-3.0", "names": {"0": "person", "description": "inner"}, "stride": 32})";

TEST(TensorRt, KnowsAnEngineByItsMark) {
  for (const char* mark : {"ptrt", "ftrt"}) {
    EXPECT_TRUE(LooksLike(Engine(mark)));
    const model::Facts facts = Read(Engine(mark));
    EXPECT_EQ(facts.format, Format::kTensorRt);
    EXPECT_TRUE(facts.risks.empty());
  }
}

TEST(TensorRt, ReadsTheMetadataBeforeAnEngine) {
  const base::Bytes bytes = Engine("ftrt", kMetadata);
  EXPECT_TRUE(LooksLike(bytes));
  const model::Facts facts = Read(bytes);
  EXPECT_EQ(facts.format, Format::kTensorRt);
  EXPECT_EQ(facts.name, "Ultralytics YOLO11n model trained on coco.yaml");
  EXPECT_EQ(facts.license, "AGPL-3.0");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(TensorRt, FollowsMetadataThatAreLongerThanTheHead) {
  const std::string metadata =
      R"({"description": "many", "names": ")" + std::string(20'000, 'x') + "\"}";
  EXPECT_TRUE(LooksLike(Engine("ftrt", metadata)));
  EXPECT_EQ(Read(Engine("ftrt", metadata)).name, "many");
  // The same text with something else behind it.
  EXPECT_EQ(Read(Engine("what", metadata)).format, Format::kUnknown);
}

TEST(TensorRt, SaysThatMetadataAreBroken) {
  std::string metadata = kMetadata;
  metadata.back() = ']';
  const model::Facts facts = Read(Engine("ftrt", metadata));
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_EQ(facts.license, "AGPL-3.0");
}

TEST(TensorRt, SaysThatAnEngineIsCutOff) {
  base::Bytes bytes = Engine("ftrt", kMetadata);
  bytes.resize(4 + kMetadata.size() + 10);
  EXPECT_TRUE(HasRisk(Read(bytes), "malformed", Severity::kHigh));
}

TEST(TensorRt, IsNoTextThatBeginsAlike) {
  EXPECT_FALSE(LooksLike(tests::ByteWriter().Text("ftrt and other words that follow").Take()));
  EXPECT_FALSE(LooksLike(tests::ByteWriter().Text("ptrt").U32(1).Take()));
  EXPECT_FALSE(LooksLike(Engine("gtrt")));
  EXPECT_FALSE(LooksLike(Engine("what", kMetadata)));
  EXPECT_FALSE(LooksLike(Engine("what", R"({"name": ")" + std::string(20'000, 'x') + "\"}")));
}

}  // namespace
}  // namespace weighmaster::agent::formats
