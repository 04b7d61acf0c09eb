#include "agent/formats/tensorflow/tf_graph.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

using model::Format;
using model::Severity;

std::string Varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  return out + static_cast<char>(value);
}
std::string Number(int field, std::uint64_t value) {
  return Varint(static_cast<std::uint64_t>(field) * 8) + Varint(value);
}
std::string Field(int field, const std::string& content) {
  return Varint(static_cast<std::uint64_t>(field) * 8 + 2) + Varint(content.size()) + content;
}

std::string Attribute(const std::string& key, const std::string& value) {
  return Field(5, Field(1, key) + Field(2, value));
}
std::string Node(const std::string& name, const std::string& operation,
                 const std::string& attributes = "") {
  return Field(1, Field(1, name) + Field(2, operation) + attributes);
}
std::string Shape(const std::vector<std::uint64_t>& extents) {
  std::string out;
  for (const std::uint64_t extent : extents) out += Field(2, Number(1, extent));
  return out;
}
// A Const; `type` is a number of DataType.
std::string Constant(const std::string& name, std::uint64_t type,
                     const std::vector<std::uint64_t>& extents) {
  return Node(name, "Const",
              Attribute("dtype", Number(6, type)) +
                  Attribute("value", Field(8, Number(1, type) + Field(2, Shape(extents)))));
}
std::string Function(const std::string& name, const std::string& operation) {
  return Field(1, Field(1, Field(1, name)) + Field(3, Field(1, "node") + Field(2, operation)));
}
// A graph of an input, weights and what a test adds.
std::string Graph(const std::string& more = "") {
  return Node("x", "Placeholder", Attribute("dtype", Number(6, 1))) + Constant("w", 1, {3, 5}) +
         more + Field(4, Number(1, 987));
}

model::Facts Read(const std::string& bytes, std::uint64_t units = base::limits::kMaxParseWork) {
  MemorySource source(base::AsBytes(bytes));
  WorkBudget budget(units);
  TensorMapWriter tensors(true);
  return ParseTfGraph(source, budget, tensors);
}
bool Looks(const std::string& bytes) {
  const base::ByteView view = base::AsBytes(bytes);
  const std::size_t head = std::min(view.size(), kSniffHeadBytes);
  const std::size_t tail = std::min(view.size(), kSniffTailBytes);
  return LooksLikeTfGraph({view.first(head), view.last(tail), view.size()});
}

TEST(TfGraph, CountsItsConstants) {
  const std::string graph = Graph(Constant("b", 19, {4}) + Constant("names", 7, {9}));
  ASSERT_TRUE(Looks(graph));
  const model::Facts facts = Read(graph);
  EXPECT_EQ(facts.format, Format::kTfGraph);
  EXPECT_EQ(facts.parameters, 19U);
  EXPECT_EQ(facts.tensor_count, 2U);
  EXPECT_EQ(facts.quantization, "F32");
  EXPECT_TRUE(facts.risks.empty());
}

TEST(TfGraph, IsRecognisedByALargeFirstNode) {
  const std::string weights = Field(8, Number(1, 1) + Field(4, std::string(100'000, 'w')));
  const std::string graph = Node("w", "Const", Attribute("value", weights));
  EXPECT_TRUE(Looks(graph));
  EXPECT_EQ(Read(graph).format, Format::kTfGraph);
}

TEST(TfGraph, TellsOfOperatorsThatRunPython) {
  for (const char* operation : {"PyFunc", "PyFuncStateless", "EagerPyFunc"}) {
    const model::Facts facts = Read(Graph(Node("call", operation)));
    EXPECT_TRUE(HasRisk(facts, "tf_executes_code", Severity::kCritical)) << operation;
    EXPECT_EQ(FindRisk(facts, "tf_executes_code")->evidence,
              std::string(operation) + " in node \"call\"");
  }
  EXPECT_TRUE(Read(Graph(Node("call", "PyFuncs"))).risks.empty());
}

TEST(TfGraph, LooksIntoFunctions) {
  const model::Facts facts =
      Read(Graph(Field(2, Function("f", "Identity") + Function("g", "PyFunc"))));
  ASSERT_TRUE(HasRisk(facts, "tf_executes_code", Severity::kCritical));
  EXPECT_EQ(FindRisk(facts, "tf_executes_code")->evidence,
            "PyFunc in node \"node\" of function \"g\"");
}

TEST(TfGraph, TellsOfOperatorsThatReachFiles) {
  for (const char* operation : {"ReadFile", "WriteFile", "MatchingFiles", "TFRecordDatasetV2",
                                "WholeFileReaderV2", "RpcClient", "LoadDataset"}) {
    EXPECT_TRUE(HasRisk(Read(Graph(Node("n", operation))), "tf_reaches_files", Severity::kHigh))
        << operation;
  }
}

TEST(TfGraph, GivesFilesNoExcuseForTheirName) {
  EXPECT_TRUE(
      HasRisk(Read(Graph(Node("save/ReadFile", "ReadFile"))), "tf_reaches_files", Severity::kHigh));
  const std::string library = Field(2, Function("__inference__traced_save_1", "WriteFile"));
  EXPECT_TRUE(HasRisk(Read(Graph(library)), "tf_reaches_files", Severity::kHigh));
}

TEST(TfGraph, LetsSaversSaveAndRestore) {
  for (const char* name : {"save/RestoreV2", "save_12/SaveV2", "import/save/RestoreV2_3"}) {
    EXPECT_TRUE(Read(Graph(Node(name, "RestoreV2"))).risks.empty()) << name;
  }
  for (const char* name : {"__inference__traced_save_77", "__inference__traced_restore_9"}) {
    EXPECT_TRUE(Read(Graph(Field(2, Function(name, "SaveV2")))).risks.empty()) << name;
  }
  for (const char* name : {"RestoreV2", "saved/x", "save_/x", "a/save", "save_x/y"}) {
    EXPECT_TRUE(HasRisk(Read(Graph(Node(name, "SaveV2"))), "tf_reaches_files", Severity::kMedium))
        << name;
  }
}

TEST(TfGraph, AsksAttributesWhetherAFileIsMeant) {
  const auto with = [](const char* operation, const char* key, const std::string& value) {
    return Read(Graph(Node("n", operation, Attribute(key, value))));
  };
  const auto reaches = [](const model::Facts& facts) {
    return HasRisk(facts, "tf_reaches_files", Severity::kHigh);
  };
  EXPECT_TRUE(reaches(with("PrintV2", "output_stream", Field(2, "file:///tmp/x"))));
  EXPECT_TRUE(with("PrintV2", "output_stream", Field(2, "stderr")).risks.empty());
  EXPECT_TRUE(reaches(with("ImmutableConst", "memory_region_name", Field(2, "/etc/passwd"))));
  EXPECT_TRUE(with("ImmutableConst", "memory_region_name", Field(2, "memmapped_package://w"))
                  .risks.empty());
  EXPECT_TRUE(reaches(with("DecodeProtoV2", "descriptor_source", Field(2, "/tmp/x.pb"))));
  EXPECT_TRUE(with("DecodeProtoV2", "descriptor_source", Field(2, "local://")).risks.empty());
  EXPECT_TRUE(
      reaches(with("DebugIdentity", "debug_urls", Field(1, Field(2, "grpc://example.org:1")))));
  EXPECT_TRUE(with("DebugIdentity", "debug_urls", Field(1, "")).risks.empty());
}

TEST(TfGraph, DoesNotPassOverAGraphThatIsHeldAsBytes) {
  EXPECT_TRUE(HasRisk(Read(Graph(Node("n", "DatasetFromGraph"))), "opaque", Severity::kHigh));
}

TEST(TfGraph, TakesTheLastOfTwoOperators) {
  const std::string node = Field(1, Field(1, "n") + Field(2, "Identity") + Field(2, "PyFunc"));
  EXPECT_TRUE(HasRisk(Read(Graph(node)), "tf_executes_code", Severity::kCritical));
}

TEST(TfGraph, GivesNoCountThatIsNotKnown) {
  EXPECT_EQ(Read(Graph(Constant("c", 1, {1ULL << 40, 1ULL << 40}))).parameters, std::nullopt);
  EXPECT_EQ(Read(Graph(Constant("c", 1, {~0ULL}))).parameters, std::nullopt);
}

TEST(TfGraph, SaysThatAFieldIsBroken) {
  std::string graph = Graph(Constant("c", 1, {7}));
  graph.resize(graph.size() - 8);
  ASSERT_TRUE(Looks(graph));
  const model::Facts facts = Read(graph);
  EXPECT_EQ(facts.format, Format::kTfGraph);
  EXPECT_TRUE(HasRisk(facts, "malformed", Severity::kHigh));
  EXPECT_EQ(facts.parameters, std::nullopt);
  // A node that says it is longer than its graph.
  EXPECT_TRUE(HasRisk(Read(Graph() + "\x0a\x7fxy"), "malformed", Severity::kHigh));
}

TEST(TfGraph, IsNoOtherProtobuf) {
  EXPECT_FALSE(Looks(""));
  EXPECT_FALSE(Looks("\n\x05hello\x12\x05world"));
  EXPECT_FALSE(Looks(Field(1, Field(1, "a name") + Field(2, "Const"))));  // a blank
  EXPECT_FALSE(Looks(Field(1, Field(2, "Const"))));
  EXPECT_FALSE(Looks(Field(1, Field(1, "n") + Field(2, "Const") + Field(9, "x"))));
  EXPECT_FALSE(Looks(Number(1, 8) + Field(2, "pytorch")));  // ONNX
  EXPECT_FALSE(Looks("\nA text that begins with an empty line\nand goes on.\n"));
  // A map of texts looks like nodes, but no graph is without an operator that graphs have.
  const std::string map = Field(1, Field(1, "key") + Field(2, "Value"));
  EXPECT_TRUE(Looks(map));
  EXPECT_EQ(Read(map).format, Format::kUnknown);
  EXPECT_EQ(Read(Graph(Field(6, "unknown"))).format, Format::kUnknown);
}

TEST(TfGraph, EndsWithinItsBudget) {
  std::string graph = Graph();
  const std::string node = Node("n", "ReadFile");
  while (graph.size() < 1'000'000) graph += node;
  const model::Facts facts = Read(graph, 10'000'000);
  EXPECT_TRUE(HasRisk(facts, "opaque", Severity::kHigh));
  EXPECT_TRUE(HasRisk(facts, "tf_reaches_files", Severity::kHigh));
  EXPECT_EQ(facts.parameters, std::nullopt);
}

}  // namespace
}  // namespace weighmaster::agent::formats
