#include "agent/formats/packages/zip.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/parsed.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;
using tests::ZipOf;

const std::string kHarmless = "\x80\x02}.";
const std::string kPayload =
    "\x80\x02"
    "cos\nsystem\nU\x02id\x85R.";

TEST(Zip, IsNoModelForAPickleThatDoesNothing) {
  EXPECT_EQ(
      ParseBytes(ZipOf({{"tests/data/empty.pkl", kHarmless}, {"setup.py", "import os"}})).format,
      Format::kUnknown);
}

TEST(Zip, IsToldOfForAPickleThatIsADanger) {
  const model::Facts facts =
      ParseBytes(ZipOf({{"readme.txt", "Unpack me."}, {"model.dat", kPayload}}));
  EXPECT_EQ(facts.format, Format::kPickle);
  ASSERT_TRUE(HasRisk(facts, "pickle_executes_code", Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, "pickle_executes_code")->evidence.rfind("model.dat: os.system", 0), 0U);
}

TEST(Zip, IsWalkedInsideAnother) {
  const auto inside = [](const std::string& name, const base::Bytes& content) {
    return ZipOf({{name, std::string(base::AsText(content))}});
  };
  base::Bytes file = ZipOf({{"archive/data.pkl", kPayload}});
  for (int depth = 0; depth < 3; ++depth) {
    file = inside("model.pt", file);
    EXPECT_TRUE(HasRisk(ParseBytes(file), "pickle_executes_code", Severity::kCritical)) << depth;
  }
  // Deeper than anybody packs models, and no model by what can be seen.
  EXPECT_EQ(ParseBytes(inside("model.pt", file)).format, Format::kUnknown);
}

// Their directories, too, end near the end of the file.
TEST(Zip, KeepsApartTheMembersOfTheArchivesInside) {
  const std::string model(base::AsText(ZipOf({{"archive/data.pkl", kHarmless}})));
  const model::Facts facts = ParseBytes(ZipOf(
      {{"net/serialized_exported_program.json", "{}"}, {"net/a.pt", model}, {"net/b.pt", model}}));
  EXPECT_EQ(facts.format, Format::kPyTorchExport);
  EXPECT_EQ(FindRisk(facts, "malformed"), nullptr);
  EXPECT_TRUE(HasRisk(facts, "pickle_format", Severity::kInfo));
}

TEST(Zip, IsOpaqueWhereAModelHoldsWhatIsNestedTooDeeply) {
  base::Bytes file = ZipOf({{"a", "x"}});
  for (int depth = 0; depth < 4; ++depth) {
    file = ZipOf({{"archive/data.pkl", kHarmless}, {"in.pt", std::string(base::AsText(file))}});
  }
  EXPECT_TRUE(HasRisk(ParseBytes(file), "opaque", Severity::kHigh));
}

}  // namespace
}  // namespace weighmaster::agent::formats
