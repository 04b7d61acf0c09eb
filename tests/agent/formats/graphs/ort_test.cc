#include "agent/formats/graphs/ort.h"

#include <gtest/gtest.h>

#include "tests/agent/formats/flat_file.h"
#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

namespace flat = tests::flat;
using flat::Value;
using model::Format;
using model::Severity;

Value Tensor(const std::vector<std::uint64_t>& dims, std::uint32_t type) {
  return flat::Table({{0, flat::Text("weight")}, {2, flat::U64s(dims)}, {3, flat::U32(type)}});
}
Value Node(const std::string& domain, const std::string& type) {
  return flat::Table({{2, flat::Text(domain)}, {5, flat::Text(type)}});
}
Value Entry(const std::string& key, const std::string& value) {
  return flat::Table({{0, flat::Text(key)}, {1, flat::Text(value)}});
}
Value Graph(const std::vector<Value>& initializers, const std::vector<Value>& nodes) {
  return flat::Table({{0, flat::Vector(initializers)}, {2, flat::Vector(nodes)}});
}
std::string Session(const Value& graph, const std::string& version = "6") {
  const Value model =
      flat::Table({{2, flat::Text("pytorch")},
                   {7, graph},
                   {9, flat::Vector({Entry("license", "mit"), Entry("model_name", "Finder"),
                                     Entry("model_type", "bert"), Entry("other", "thing")})}});
  return flat::File(flat::Table({{0, flat::Text(version)}, {1, model}}), "ORTM");
}

bool LooksLike(std::string_view text) {
  return LooksLikeOrt(
      {base::AsBytes(text).first(std::min<std::size_t>(text.size(), 4096)), {}, text.size()});
}

model::Facts Read(std::string_view text, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(text));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseOrt(source, budget, tensors);
}

TEST(Ort, ReadsWhatAModelSaysOfItself) {
  const std::string text = Session(
      Graph({Tensor({10, 20}, 10), Tensor({7}, 1)}, {Node("", "MatMul"), Node("ai.onnx", "Add")}));
  EXPECT_TRUE(LooksLike(text));
  const model::Facts facts = Read(text);
  EXPECT_EQ(facts.format, Format::kOrt);
  EXPECT_EQ(facts.name, "Finder");
  EXPECT_EQ(facts.license, "mit");
  EXPECT_EQ(facts.architecture, "bert");
  EXPECT_EQ(facts.quantization, "F16");
  EXPECT_EQ(facts.parameters, 207U);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_TRUE(facts.risks.empty());
}

TEST(Ort, CountsTheValuesOfSparseInitializers) {
  const Value sparse = flat::Table({{0, Tensor({5}, 1)}, {1, Tensor({5}, 7)}});
  const model::Facts facts = Read(Session(flat::Table({{7, flat::Vector({sparse})}})));
  EXPECT_EQ(facts.parameters, 5U);
  EXPECT_EQ(facts.quantization, "F32");
}

TEST(Ort, TellsOfCustomOperatorsAlsoInSubgraphs) {
  const model::Facts plain = Read(Session(Graph({}, {Node("com.example", "Evil")})));
  ASSERT_TRUE(HasRisk(plain, "custom_operators", Severity::kMedium));
  EXPECT_EQ(FindRisk(plain, "custom_operators")->evidence, "com.example.Evil");
  Value graph = Graph({}, {Node("com.example", "Deep")});
  for (int i = 0; i < 8; ++i) {
    const Value attribute =
        i % 2 == 0 ? flat::Table({{7, graph}}) : flat::Table({{12, flat::Vector({graph})}});
    graph = Graph({}, {flat::Table({{10, flat::Vector({attribute})}})});
  }
  const model::Facts nested = Read(Session(graph));
  ASSERT_EQ(nested.risks.size(), 1U);
  EXPECT_EQ(nested.risks[0].evidence, "com.example.Deep");
  EXPECT_TRUE(Read(Session(Graph({}, {Node("com.microsoft.nchwc", "Conv")}))).risks.empty());
}

TEST(Ort, StopsAtGraphsNestedWithoutEnd) {
  Value graph = Graph({}, {});
  for (int i = 0; i < 40; ++i) {
    const Value attribute = flat::Table({{7, graph}});
    graph = Graph({}, {flat::Table({{10, flat::Vector({attribute})}})});
  }
  const model::Facts facts = Read(Session(graph));
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_NE(facts.risks[0].evidence.find("nested too deeply"), std::string::npos);
}

TEST(Ort, SaysThatAVersionIsTooNewAndReadsOn) {
  for (const char* version : {"7", "six", ""}) {
    const model::Facts facts = Read(Session(Graph({Tensor({3}, 1)}, {}), version));
    EXPECT_TRUE(HasRisk(facts, "unsupported_version", Severity::kLow)) << version;
    EXPECT_EQ(facts.parameters, 3U);
  }
  EXPECT_TRUE(Read(Session(Graph({}, {}), "1")).risks.empty());
}

TEST(Ort, GivesNoCountThatOverflows) {
  const model::Facts facts = Read(Session(Graph({Tensor({1ULL << 40, 1ULL << 40}, 1)}, {})));
  EXPECT_EQ(facts.format, Format::kOrt);
  EXPECT_EQ(facts.parameters, std::nullopt);
  EXPECT_EQ(facts.tensor_count, 1U);
}

TEST(Ort, SaysThatTheFileWasCutOff) {
  const std::string text = Session(Graph({Tensor({3}, 1)}, {Node("", "Add")}));
  int recognised = 0;
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {
    const std::string_view cut = std::string_view(text).substr(0, size);
    if (!LooksLike(cut)) continue;
    ++recognised;
    EXPECT_TRUE(HasRisk(Read(cut), "malformed", Severity::kHigh)) << size;
  }
  EXPECT_GT(recognised, 100);
}

TEST(Ort, RefusesACountThatLies) {
  std::string text = Session(flat::Table({{0, flat::Piece(flat::Little(0x12345678, 4))}}));
  const model::Facts facts = Read(text);
  ASSERT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_NE(facts.risks[0].evidence.find("305419896"), std::string::npos);
}

TEST(Ort, EndsWithTheBudget) {
  std::vector<Value> nodes(20'000, Node("com.example", "Evil"));
  const model::Facts facts = Read(Session(Graph({}, nodes)), 2'000'000);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_EQ(FindRisk(facts, "malformed"), nullptr);
  EXPECT_EQ(facts.parameters, std::nullopt);
}

TEST(Ort, IsNotWhatOnlyHasItsLetters) {
  EXPECT_FALSE(LooksLike("see ORTM for more, and a text that goes on"));
  EXPECT_FALSE(LooksLike(std::string(4, '\0') + "ORTM" + std::string(100, '\0')));
}

}  // namespace
}  // namespace weighmaster::agent::formats
