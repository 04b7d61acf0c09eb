#include "agent/formats/trees/catboost.h"

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
  return LooksLikeCatBoost(
      {view.first(std::min<std::size_t>(view.size(), 4'096)), {}, view.size()});
}

model::Facts Read(const base::Bytes& bytes) {
  MemorySource source(bytes);
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseCatBoost(source, budget, tensors);
}

struct Core {
  std::string version = "FlabuffersModel_v1";
  std::uint32_t version_place = 0;  // another offset than the right one
  std::uint32_t parts = 0;
};

// TModelCore with a format version and, where there are parts, their names (all the same).
base::Bytes CoreBytes(const Core& core) {
  constexpr std::uint32_t kTable = 20;
  constexpr std::uint32_t kText = kTable + 12;
  const auto text_bytes = static_cast<std::uint32_t>(core.version.size() + 1 + 3) / 4 * 4;
  ByteWriter writer;
  writer.U32(kTable).U16(0).U16(0);
  // The vtable, at 8: its size, the table's, then the four fields.
  writer.U16(12).U16(12).U16(4).U16(0).U16(0).U16(core.parts > 0 ? 8 : 0);
  writer.U32(kTable - 8);
  writer.U32(core.version_place != 0 ? core.version_place : kText - (kTable + 4));
  writer.U32(kText + 4 + text_bytes - (kTable + 8));
  writer.U32(static_cast<std::uint32_t>(core.version.size())).Text(core.version);
  writer.Zeros(text_bytes - core.version.size());
  writer.U32(core.parts);
  for (std::uint32_t i = 0; i < core.parts; ++i) writer.U32((core.parts - i) * 4);
  writer.U32(3).Text("ctr").U8(0);
  return writer.Take();
}

base::Bytes File(const Core& core, std::size_t behind = 0) {
  const base::Bytes bytes = CoreBytes(core);
  ByteWriter writer;
  writer.Text("CBM1").U32(static_cast<std::uint32_t>(bytes.size()));
  return writer.Text(base::AsText(bytes)).Zeros(behind).Take();
}

TEST(CatBoost, KnowsACoreAndTheSizesThatItMayHave) {
  EXPECT_TRUE(LooksLike(File({})));
  EXPECT_EQ(Read(File({})).format, Format::kCatBoost);
  EXPECT_TRUE(Read(File({})).risks.empty());
  const base::Bytes core = CoreBytes({});
  const base::Bytes large =
      ByteWriter().Text("CBM1").U32(~0U).U64(core.size()).Text(base::AsText(core)).Take();
  EXPECT_TRUE(LooksLike(large));
  EXPECT_TRUE(Read(large).risks.empty());
}

TEST(CatBoost, ExpectsBytesBehindTheCoreOnlyWhereItNamesParts) {
  EXPECT_TRUE(HasRisk(Read(File({}, 10)), "trailing_data", Severity::kMedium));
  Core core;
  core.parts = 2;
  EXPECT_TRUE(Read(File(core, 10)).risks.empty());
}

TEST(CatBoost, SaysThatAFileIsBroken) {
  base::Bytes cut = File({});
  cut.pop_back();
  EXPECT_TRUE(HasRisk(Read(cut), "malformed", Severity::kHigh));
  Core core;
  core.version_place = 1'000'000;
  EXPECT_TRUE(HasRisk(Read(File(core)), "malformed", Severity::kHigh));
  base::Bytes root = File({});
  root[9] = 0x0f;  // the root lies outside of the core
  EXPECT_TRUE(HasRisk(Read(root), "malformed", Severity::kHigh));
  Core parts;
  parts.parts = 1;
  base::Bytes many = File(parts);
  const std::size_t count = many.size() - 8 - 4 - 4;
  std::fill_n(many.begin() + static_cast<std::ptrdiff_t>(count), 4, std::uint8_t{0xff});
  EXPECT_TRUE(HasRisk(Read(many), "malformed", Severity::kHigh));
}

TEST(CatBoost, SaysThatAVersionIsTooNew) {
  Core core;
  core.version = "FlabuffersModel_v2";
  EXPECT_TRUE(HasRisk(Read(File(core)), "unsupported_version", Severity::kLow));
}

TEST(CatBoost, IsNoTextThatBeginsAlike) {
  EXPECT_FALSE(LooksLike(ByteWriter().Text("CBM1 is the mark of a CatBoost model").Take()));
  EXPECT_FALSE(LooksLike(ByteWriter().Text("CBM1").U32(100).U32(16).Take()));
  base::Bytes other = File({});
  other[3] = '2';
  EXPECT_FALSE(LooksLike(other));
}

}  // namespace
}  // namespace weighmaster::agent::formats
