#include "agent/formats/graphs/ort.h"

#include <charconv>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/grammars/flat_buffer.h"
#include "agent/formats/graphs/operator_domains.h"
#include "agent/formats/graphs/tensor_count.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxFactBytes;

// Fields of ort.fbs.
namespace session_field {
constexpr std::uint32_t kVersion = 0, kModel = 1;
}
namespace model_field {
constexpr std::uint32_t kGraph = 7, kMetadata = 9;
}
namespace graph_field {
constexpr std::uint32_t kInitializers = 0, kNodes = 2, kSparseInitializers = 7;
}
namespace node_field {
constexpr std::uint32_t kDomain = 2, kOpType = 5, kAttributes = 10;
}
namespace attribute_field {
constexpr std::uint32_t kGraph = 7, kGraphs = 12;
}
namespace tensor_field {
constexpr std::uint32_t kDims = 2, kType = 3;
}
namespace entry_field {
constexpr std::uint32_t kKey = 0, kValue = 1;
}
constexpr std::uint32_t kSparseValues = 0;

constexpr std::string_view kIdentifier = "ORTM";
constexpr std::uint32_t kNewestVersion = 6;
// Graphs within graphs (If, Loop, Scan), as in ONNX.
constexpr int kMaxDepth = 16;
constexpr std::uint32_t kMaxDimensions = 64;
constexpr std::size_t kMaxNameBytes = 256;

// TensorDataType, with the numbers of ONNX, also of those that the schema does not name yet.
constexpr std::string_view kTypes[] = {
    "",    "F32",    "U8",   "I8",      "U16",         "I16",     "I32",
    "I64", "STRING", "BOOL", "F16",     "F64",         "U32",     "U64",
    "C64", "C128",   "BF16", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ",
    "U4",  "I4",     "F4",   "F8_E8M0", "U2",          "I2"};

class OrtReader {
 public:
  OrtReader(ByteSource& source, WorkBudget& budget)
      : budget_(budget), session_(source, budget, 0, source.size()) {}

  model::Facts Read() &&;

 private:
  void ReadVersion(const FlatTable& session);
  void ReadModel(const FlatTable& model);
  void ReadMetadata(const FlatTable& entry);
  void ReadGraph(const FlatTable& graph, int depth);
  void ReadNode(const FlatTable& node, int depth);
  void ReadAttribute(const FlatTable& attribute, int depth);
  void Count(const FlatTable& tensor);
  void AddRisk(RiskId id, std::string_view evidence);
  bool going() const { return sound_ && session_.going(); }

  WorkBudget& budget_;
  FlatBuffer session_;
  model::Facts facts_;
  RiskList risks_;
  TensorCount initializers_;
  bool sound_ = true;
};

void OrtReader::AddRisk(RiskId id, std::string_view evidence) {
  budget_.Take(work::kRisk);
  risks_.Add(id, evidence);
}

model::Facts OrtReader::Read() && {
  facts_.format = model::Format::kOrt;
  if (const auto session = session_.Root()) {
    ReadVersion(*session);
    if (const auto model = session_.Table(*session, session_field::kModel)) ReadModel(*model);
  }
  if (!going()) initializers_.Miss();
  initializers_.Tell(facts_);
  if (!session_.broken().empty()) AddRisk(RiskId::kMalformed, session_.broken());
  if (budget_.spent()) risks_.AddSpent(session_.offset());
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

// A number as a text; what it is not is no reason to stop, since fields are only ever added.
void OrtReader::ReadVersion(const FlatTable& session) {
  const std::string text = session_.Text(session, session_field::kVersion, kMaxNameBytes);
  std::uint32_t version = 0;
  const char* const text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, version);
  if (error == std::errc() && end == text_end && version <= kNewestVersion) return;
  if (going()) AddRisk(RiskId::kUnsupportedVersion, "version " + text);
}

void OrtReader::ReadModel(const FlatTable& model) {
  const FlatVector entries = session_.Vector(model, model_field::kMetadata, 4);
  for (std::uint32_t i = 0; i < entries.count && going(); ++i) {
    if (const auto entry = session_.TableAt(entries, i)) ReadMetadata(*entry);
  }
  if (const auto graph = session_.Table(model, model_field::kGraph)) ReadGraph(*graph, 0);
}

void OrtReader::ReadMetadata(const FlatTable& entry) {
  const std::string key = session_.Text(entry, entry_field::kKey, kMaxNameBytes);
  const std::string value = session_.Text(entry, entry_field::kValue, kMaxFactBytes + 4);
  budget_.Take(value.size() * work::kTextByte);
  if (key == "license") facts_.license = CleanText(value);
  if (key == "model_name") facts_.name = CleanText(value);
  if (key == "architecture" || key == "model_type") facts_.architecture = CleanText(value);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void OrtReader::ReadGraph(const FlatTable& graph, int depth) {
  if (depth > kMaxDepth) {
    sound_ = false;
    return AddRisk(RiskId::kMalformed, "graphs nested too deeply at " + AtOffset(graph.at));
  }
  const FlatVector initializers = session_.Vector(graph, graph_field::kInitializers, 4);
  for (std::uint32_t i = 0; i < initializers.count && going(); ++i) {
    if (const auto tensor = session_.TableAt(initializers, i)) Count(*tensor);
  }
  const FlatVector sparse = session_.Vector(graph, graph_field::kSparseInitializers, 4);
  for (std::uint32_t i = 0; i < sparse.count && going(); ++i) {
    const auto tensor = session_.TableAt(sparse, i);
    if (!tensor.has_value()) return;
    if (const auto values = session_.Table(*tensor, kSparseValues)) Count(*values);
  }
  const FlatVector nodes = session_.Vector(graph, graph_field::kNodes, 4);
  for (std::uint32_t i = 0; i < nodes.count && going(); ++i) {
    if (const auto node = session_.TableAt(nodes, i)) ReadNode(*node, depth);
  }
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void OrtReader::ReadNode(const FlatTable& node, int depth) {
  const std::string domain = session_.Text(node, node_field::kDomain, kMaxNameBytes);
  if (!IsKnownOperatorDomain(domain)) {
    const std::string type = session_.Text(node, node_field::kOpType, kMaxNameBytes);
    AddRisk(RiskId::kCustomOperators, domain + "." + type);
  }
  const FlatVector attributes = session_.Vector(node, node_field::kAttributes, 4);
  for (std::uint32_t i = 0; i < attributes.count && going(); ++i) {
    if (const auto attribute = session_.TableAt(attributes, i)) ReadAttribute(*attribute, depth);
  }
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void OrtReader::ReadAttribute(const FlatTable& attribute, int depth) {
  if (const auto graph = session_.Table(attribute, attribute_field::kGraph)) {
    ReadGraph(*graph, depth + 1);
  }
  const FlatVector graphs = session_.Vector(attribute, attribute_field::kGraphs, 4);
  for (std::uint32_t i = 0; i < graphs.count && going(); ++i) {
    if (const auto graph = session_.TableAt(graphs, i)) ReadGraph(*graph, depth + 1);
  }
}

void OrtReader::Count(const FlatTable& tensor) {
  budget_.Take(work::kTensor);
  const std::uint32_t number = session_.U32(tensor, tensor_field::kType);
  const std::string_view type = number < std::size(kTypes) ? kTypes[number] : "";
  const FlatVector shape = session_.Vector(tensor, tensor_field::kDims, 8);
  if (shape.count > kMaxDimensions) return initializers_.AddUncounted();
  std::vector<std::uint64_t> dims;
  for (std::uint32_t i = 0; i < shape.count; ++i) dims.push_back(session_.U64At(shape, i));
  initializers_.Add(type, dims);
}

}  // namespace

bool LooksLikeOrt(const FileEnds& file) { return BeginsFlatBuffer(file, kIdentifier); }

model::Facts ParseOrt(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return OrtReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
