#include "agent/formats/trees/lightgbm.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

bool LooksLike(std::string_view text) {
  return LooksLikeLightGbm({base::AsBytes(text.substr(0, 4'096)), {}, text.size()});
}

model::Facts Read(ByteSource& source) {
  WorkBudget budget;
  TensorMapWriter tensors(true);
  return ParseLightGbm(source, budget, tensors);
}

model::Facts Read(std::string_view text) {
  MemorySource source(base::AsBytes(text));
  return Read(source);
}

const std::string kTrees[] = {"Tree=0\nnum_leaves=2\nleaf_value=0.1 0.2\n\n\n",
                              "Tree=1\nnum_leaves=2\nleaf_value=0.3 0.4\n\n\n"};

std::string Header(const std::string& sizes, const std::string& version = "v4") {
  return "tree\nversion=" + version +
         "\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n"
         "objective=binary sigmoid:1\nfeature_names=a b\nfeature_infos=[0:1] none\n" +
         sizes + "\n\n";
}

std::string Sizes(std::size_t first = kTrees[0].size()) {
  return "tree_sizes=" + std::to_string(first) + " " + std::to_string(kTrees[1].size());
}

const std::string kEnd =
    "end of trees\n\nfeature_importances:\na=2\n\nparameters:\n[boosting: dart]\n[objective: "
    "binary]\n"
    "\nend of parameters\n";

TEST(LightGbm, ReadsTheKindOfBoostingBehindTheTrees) {
  const std::string text = Header(Sizes()) + kTrees[0] + kTrees[1] + kEnd;
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kLightGbm);
  EXPECT_EQ(facts.architecture, "dart");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(LightGbm, ReadsFilesWithoutSizesOrVersions) {
  const std::string old = "tree\nnum_class=1\nlabel_index=0\n\n" + kTrees[0];
  EXPECT_TRUE(LooksLike(old));
  EXPECT_TRUE(Read(old).risks.empty());
  const std::string second = Header("", "v2") + kTrees[0] + kTrees[1] + kEnd;
  EXPECT_EQ(Read(second).architecture, "dart");
  EXPECT_TRUE(Read(second).risks.empty());
}

TEST(LightGbm, SaysThatSizesLie) {
  const std::string trees = kTrees[0] + kTrees[1] + kEnd;
  for (const std::string& sizes :
       {Sizes(kTrees[0].size() + 1), Sizes(1), std::string("tree_sizes=10 x"),
        "tree_sizes=" + std::to_string(1ULL << 62),
        std::string("tree_sizes=99999999999999999999")}) {
    EXPECT_TRUE(HasRisk(Read(Header(sizes) + trees), "malformed", Severity::kHigh)) << sizes;
  }
}

TEST(LightGbm, SaysThatAHeaderIsIncomplete) {
  const std::string text = "tree\nversion=v3\nnum_class=1\nlabel_index=0\n\n" + kTrees[0];
  const model::Facts facts = Read(text);
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_NE(FindRisk(facts, "malformed")->evidence.find("max_feature_idx"), std::string::npos);
}

TEST(LightGbm, SaysThatAVersionIsTooNew) {
  const std::string text = Header(Sizes(), "v5") + kTrees[0] + kTrees[1] + kEnd;
  EXPECT_TRUE(HasRisk(Read(text), "unsupported_version", Severity::kLow));
}

TEST(LightGbm, PassesOverTrees) {
  const std::string header = Header("tree_sizes=8589934592") + "Tree=0\n";
  CountedSource source(base::AsBytes(header), header.size() + (8ULL << 30) - 7);
  const model::Facts facts = Read(source);
  EXPECT_TRUE(facts.risks.empty());
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(LightGbm, IsNoTextThatBeginsAlike) {
  for (const char* text : {"tree", "tree\n", "tree 1\nversion=v3\n", "trees\nversion=v3\n",
                           "tree\nversion=3\n", "tree\nversion=vX\n", "tree\nnum_class=many\n"}) {
    EXPECT_FALSE(LooksLike(text)) << text;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
