#include "agent/formats/trees/xgboost.h"

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
  return LooksLikeXgBoost({view.first(std::min<std::size_t>(view.size(), 4'096)), {}, view.size()});
}

model::Facts Read(ByteSource& source, std::uint64_t units = base::limits::kMaxParseWork) {
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseXgBoost(source, budget, tensors);
}

model::Facts Read(base::ByteView bytes) {
  MemorySource source(bytes);
  return Read(source);
}

// UBJSON as XGBoost writes it.
std::string Length(std::uint64_t length) {
  const base::Bytes bytes = ByteWriter(true).U64(length).Take();
  return "L" + std::string(base::AsText(bytes));
}
std::string Key(const std::string& key) { return Length(key.size()) + key; }
std::string Text(const std::string& text) { return "S" + Key(text); }

std::string UbjsonBooster(const std::string& name = "gbtree") {
  const std::string trees = "[#" + Length(1) + "{" + Key("left_children") + "[$l#" + Length(3) +
                            std::string(12, '\1') + Key("id") + "i" + std::string(1, '\0') + "}";
  return "{" + Key("model") + "{" + Key("trees") + trees + Key("tree_info") + "[" + "i\1I\1\1T]" +
         "}" + Key("name") + Text(name) + "}";
}

std::string Ubjson(const std::string& booster = UbjsonBooster()) {
  return "{" + Key("learner") + "{" + Key("attributes") + "{}" + Key("feature_names") + "[#" +
         Length(0) + Key("gradient_booster") + booster + Key("objective") + "{" + Key("name") +
         Text("binary:logistic") + "}}" + Key("version") + "[#" + Length(3) +
         std::string("i\2i\1i\0}", 7);
}

const std::string kJson =
    R"({"learner":{"attributes":{},"feature_names":[],"gradient_booster":{"model":{"trees":[)"
    R"({"id":0,)"
    R"("left_children":[1,-1,-1]}]},"name":"gbtree"},"learner_model_param":{"base_score":"5E-1"},)"
    R"("objective":{"name":"reg:squarederror"}},"version":[2,1,0]})";

TEST(XgBoost, ReadsTheBoosterOfJsonAndUbjson) {
  for (const std::string& text : {kJson, Ubjson()}) {
    EXPECT_TRUE(LooksLike(base::AsBytes(text)));
    const model::Facts facts = Read(base::AsBytes(text));
    EXPECT_EQ(facts.format, Format::kXgBoost);
    EXPECT_EQ(facts.architecture, "gbtree");
    EXPECT_TRUE(facts.risks.empty());
  }
}

TEST(XgBoost, ReadsOtherBoosters) {
  const std::string dart = "{" + Key("gbtree") + UbjsonBooster() + Key("name") + Text("dart") + "}";
  EXPECT_EQ(Read(base::AsBytes(Ubjson(dart))).architecture, "dart");
  const std::string linear =
      R"({ "learner": { "gradient_booster": {"model": {"weights": [1]}, "name": "gblinear"}}})";
  EXPECT_TRUE(LooksLike(base::AsBytes(linear)));
  EXPECT_EQ(Read(base::AsBytes(linear)).architecture, "gblinear");
}

TEST(XgBoost, IsNoConfiguration) {
  const std::string config =
      R"({"learner":{"generic_param":{"device":"cpu"},"gradient_booster":{"gbtree_train_param":{},)"
      R"("name":"gbtree"},"learner_model_param":{}},"version":[2,1,0]})";
  EXPECT_EQ(Read(base::AsBytes(config)).format, Format::kUnknown);
  const std::string dart =
      R"({"learner":{"gradient_booster":{"gbtree":{"name":"gbtree"},"name":"dart"}}})";
  EXPECT_EQ(Read(base::AsBytes(dart)).format, Format::kUnknown);
}

TEST(XgBoost, ReadsTheBinaryForm) {
  for (const char* mark : {"", "binf"}) {
    const auto file = [&](std::string_view objective, std::string_view booster) {
      ByteWriter writer;
      writer.Text(mark).U32(0x3f000000).U32(10).Zeros(128);
      writer.U64(objective.size()).Text(objective).U64(booster.size()).Text(booster);
      return writer.Zeros(100).Take();
    };
    EXPECT_TRUE(LooksLike(file("binary:logistic", "gbtree")));
    EXPECT_EQ(Read(file("binary:logistic", "gbtree")).architecture, "gbtree");
    EXPECT_TRUE(Read(file("binary:logistic", "gbtree")).risks.empty());
    EXPECT_FALSE(LooksLike(file("binary:logistic", "forest")));
    EXPECT_FALSE(LooksLike(file("logistic", "gbtree")));
  }
}

TEST(XgBoost, SaysThatAFileIsCutOff) {
  for (const std::string& text : {kJson, Ubjson()}) {
    const model::Facts facts = Read(base::AsBytes(text.substr(0, text.size() - 10)));
    EXPECT_EQ(facts.architecture, "gbtree");
    EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  }
}

TEST(XgBoost, SaysThatCountsLie) {
  for (const std::uint64_t count : {1ULL << 40, 1ULL << 62, ~0ULL}) {
    const std::string typed = "{" + Key("model") + "[$L#" + Length(count) + "}";
    EXPECT_TRUE(HasRisk(Read(base::AsBytes(Ubjson(typed))), "malformed", Severity::kHigh)) << count;
    const std::string plain = "{" + Key("model") + "[#" + Length(count) + "}";
    EXPECT_TRUE(HasRisk(Read(base::AsBytes(Ubjson(plain))), "malformed", Severity::kHigh)) << count;
  }
}

TEST(XgBoost, StopsAtArraysNestedWithoutEnd) {
  const std::string deep = "{" + Key("model") + std::string(100'000, '[');
  EXPECT_TRUE(HasRisk(Read(base::AsBytes(Ubjson(deep))), "malformed", Severity::kHigh));
}

TEST(XgBoost, TellsOfBytesBehindTheModel) {
  const std::string text = Ubjson() + "more";
  EXPECT_TRUE(HasRisk(Read(base::AsBytes(text)), "trailing_data", Severity::kMedium));
}

TEST(XgBoost, PassesOverArraysOfOneType) {
  const std::string text = "{" + Key("learner") + "{" + Key("gradient_booster") + "{" +
                           Key("name") + Text("gbtree") + Key("model") + "[$D#" +
                           Length(1ULL << 30);
  CountedSource source(base::AsBytes(text), text.size() + (8ULL << 30));
  EXPECT_EQ(Read(source).architecture, "gbtree");
  EXPECT_LT(source.bytes_read(), 200'000U);
}

TEST(XgBoost, IsOpaqueWhenItsWorkIsSpent) {
  const std::string many = "{" + Key("model") + "[" + std::string(1'000'000, 'T');
  const std::string text = Ubjson(many);
  MemorySource source(base::AsBytes(text));
  EXPECT_TRUE(HasRisk(Read(source, 1'000'000), "opaque", Severity::kHigh));
}

TEST(XgBoost, IsNoOtherObject) {
  for (const char* text : {"{}", R"({"learner":1})", R"({"learner":{"name":"me"}})",
                           R"({"learner":{}})", R"({"teacher":{"attributes":{}}})", "binf", ""}) {
    EXPECT_FALSE(LooksLike(base::AsBytes(text))) << text;
  }
  EXPECT_FALSE(LooksLike(base::AsBytes("{" + Key("learner") + "{" + Key("name"))));
}

}  // namespace
}  // namespace weighmaster::agent::formats
