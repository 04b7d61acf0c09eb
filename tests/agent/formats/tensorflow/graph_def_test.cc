#include "agent/formats/tensorflow/graph_def.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Severity;

std::string Field(int field, const std::string& content) {
  return std::string(1, static_cast<char>(field * 8 + 2)) + static_cast<char>(content.size()) +
         content;
}
std::string Node(const std::string& name, const std::string& operation) {
  return Field(1, Field(1, name) + Field(2, operation));
}

std::vector<model::Risk> RisksOf(const std::string& graph, const GraphSurroundings& around) {
  MemorySource source(base::AsBytes(graph));
  WorkBudget budget;
  Cursor cursor(source, budget);
  RiskList risks;
  EXPECT_TRUE(GraphDefReader(cursor, risks).Read(0, graph.size(), around));
  return std::move(risks).Take();
}

TEST(GraphDef, TakesTheScopeOfTheSaverFromItsSurroundings) {
  const std::string graph = Node("my_saver/RestoreV2", "RestoreV2");
  EXPECT_TRUE(RisksOf(graph, {"my_saver/", false}).empty());
  ASSERT_EQ(RisksOf(graph, {"", false}).size(), 1U);
  EXPECT_EQ(RisksOf(graph, {"", false}).front().severity, Severity::kMedium);
  EXPECT_EQ(RisksOf(Node("my_saver/f", "ReadFile"), {"my_saver/", false}).size(), 1U);
}

TEST(GraphDef, LetsTablesBeFilledFromAssets) {
  const std::string graph = Node("init", "InitializeTableFromTextFileV2");
  EXPECT_TRUE(RisksOf(graph, {"", true}).empty());
  ASSERT_EQ(RisksOf(graph, {"", false}).size(), 1U);
  EXPECT_EQ(RisksOf(graph, {"", false}).front().id, "tf_reaches_files");
  EXPECT_EQ(RisksOf(graph, {"", false}).front().severity, Severity::kMedium);
}

TEST(GraphDef, AddsUpOverSeveralGraphs) {
  const std::string graph = Node("x", "Placeholder");
  MemorySource source(base::AsBytes(graph));
  WorkBudget budget;
  Cursor cursor(source, budget);
  RiskList risks;
  GraphDefReader reader(cursor, risks);
  reader.Read(0, graph.size(), {});
  reader.Read(0, graph.size(), {});
  EXPECT_EQ(reader.nodes(), 2U);
  EXPECT_TRUE(reader.has_common_operator());
}

TEST(GraphDef, NamesTypesAsTheyAreStored) {
  const auto type_of = [](std::uint64_t number) {
    GraphTensors tensors;
    tensors.Add(number, 4);
    model::Facts facts;
    tensors.Tell(facts);
    return facts.quantization;
  };
  EXPECT_EQ(type_of(1), "F32");
  EXPECT_EQ(type_of(11), "I8");  // QINT8
  EXPECT_EQ(type_of(14), "BF16");
  EXPECT_EQ(type_of(101), "F32");  // a reference to it
  EXPECT_EQ(type_of(25), "F8_E4M3");
  EXPECT_EQ(type_of(7), "");  // texts are no weights
  EXPECT_EQ(type_of(9'999), "");
}

}  // namespace
}  // namespace weighmaster::agent::formats
