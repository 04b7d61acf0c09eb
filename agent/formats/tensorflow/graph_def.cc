#include "agent/formats/tensorflow/graph_def.h"

#include <algorithm>
#include <functional>
#include <iterator>

namespace weighmaster::agent::formats {
namespace {

using model::Severity;

// Field numbers of the definitions that the header names.
namespace graph_field {
constexpr std::uint32_t kNode = 1, kLibrary = 2, kOldVersion = 3, kVersions = 4, kDebug = 5;
}
namespace function_field {
constexpr std::uint32_t kSignature = 1, kNode = 3;
}
namespace node_field {
constexpr std::uint32_t kName = 1, kOperation = 2, kInput = 3, kDevice = 4, kAttribute = 5,
                        kDebug = 6, kType = 7;
}
namespace value_field {
constexpr std::uint32_t kList = 1, kText = 2, kType = 6, kShape = 7, kTensor = 8;
}
namespace tensor_field {
constexpr std::uint32_t kType = 1, kShape = 2;
}
namespace shape_field {
constexpr std::uint32_t kExtent = 2, kUnknownRank = 3;
}
constexpr std::uint32_t kLibraryFunction = 1;
constexpr std::uint32_t kSignatureName = 1;
constexpr std::uint32_t kExtentSize = 1;
constexpr std::uint32_t kListText = 2;
constexpr std::uint32_t kKey = 1, kValue = 2;

// Names are paths of scopes; the longest known are under 300 bytes. What is longer is compared, and
// shown, by its beginning.
constexpr std::size_t kMaxNameBytes = 512;
constexpr std::size_t kMaxOperatorBytes = 128;
constexpr std::size_t kMaxAttributeBytes = 64;
// TensorShape's own limit is 254; a graph with more dimensions does not load.
constexpr std::size_t kMaxDimensions = 254;
constexpr std::uint64_t kReferenceTypes = 100;  // types of references follow from here

// TensorFlow's DataType, by number. Quantised ones are named for what they are stored as.
constexpr std::string_view kTypes[] = {"",
                                       "F32",
                                       "F64",
                                       "I32",
                                       "U8",
                                       "I16",
                                       "I8",
                                       "STRING",
                                       "C64",
                                       "I64",
                                       "BOOL",
                                       "I8",
                                       "U8",
                                       "I32",
                                       "BF16",
                                       "I16",
                                       "U16",
                                       "U16",
                                       "C128",
                                       "F16",
                                       "RESOURCE",
                                       "VARIANT",
                                       "U32",
                                       "U64",
                                       "F8_E5M2",
                                       "F8_E4M3",
                                       "F8_E4M3FNUZ",
                                       "F8_E4M3B11FNUZ",
                                       "F8_E5M2FNUZ",
                                       "I4",
                                       "U4",
                                       "I2",
                                       "U2"};

// What an operator can do that a model has no need of.
enum class Effect : std::uint8_t {
  kRunsPython,
  kReachesFiles,  // files or sockets, by a name or an address
  kCheckpoint,    // saves or restores variables, which a saver does in every model
  kVocabulary,    // fills a table from a text file, which models with assets do
  kHoldsGraph,    // runs a graph that it holds as bytes, which is not looked at
  kByAttribute,   // reaches files only where an attribute says so
};
struct OperatorRow {
  std::string_view name;
  Effect effect;
};
// Sorted. CacheDataset is none of them: most of them cache in memory, and which do shows only from
// what they are fed.
constexpr OperatorRow kOperators[] = {
    {"CSVDataset", Effect::kReachesFiles},
    {"CSVDatasetV2", Effect::kReachesFiles},
    {"CreateSummaryDbWriter", Effect::kReachesFiles},
    {"CreateSummaryFileWriter", Effect::kReachesFiles},
    {"DataServiceDataset", Effect::kReachesFiles},
    {"DataServiceDatasetV2", Effect::kReachesFiles},
    {"DataServiceDatasetV3", Effect::kReachesFiles},
    {"DataServiceDatasetV4", Effect::kReachesFiles},
    {"DatasetFromGraph", Effect::kHoldsGraph},
    {"DatasetToTFRecord", Effect::kReachesFiles},
    {"DebugIdentity", Effect::kByAttribute},
    {"DebugIdentityV2", Effect::kByAttribute},
    {"DebugIdentityV3", Effect::kByAttribute},
    {"DebugNanCount", Effect::kByAttribute},
    {"DebugNumericSummary", Effect::kByAttribute},
    {"DecodeProtoV2", Effect::kByAttribute},
    {"DistributedSave", Effect::kReachesFiles},
    {"EagerPyFunc", Effect::kRunsPython},
    {"EncodeProto", Effect::kByAttribute},
    {"ExperimentalCSVDataset", Effect::kReachesFiles},
    {"ExperimentalDatasetToTFRecord", Effect::kReachesFiles},
    {"ExperimentalLMDBDataset", Effect::kReachesFiles},
    {"ExperimentalMatchingFilesDataset", Effect::kReachesFiles},
    {"ExperimentalSqlDataset", Effect::kReachesFiles},
    {"FileSystemSetConfiguration", Effect::kReachesFiles},
    {"FixedLengthRecordDataset", Effect::kReachesFiles},
    {"FixedLengthRecordDatasetV2", Effect::kReachesFiles},
    {"FixedLengthRecordReader", Effect::kReachesFiles},
    {"FixedLengthRecordReaderV2", Effect::kReachesFiles},
    {"GenerateVocabRemapping", Effect::kReachesFiles},
    {"ImmutableConst", Effect::kByAttribute},
    {"InitializeTableFromTextFile", Effect::kVocabulary},
    {"InitializeTableFromTextFileV2", Effect::kVocabulary},
    {"LMDBDataset", Effect::kReachesFiles},
    {"LMDBReader", Effect::kReachesFiles},
    {"ListSnapshotChunksDataset", Effect::kReachesFiles},
    {"LoadAndRemapMatrix", Effect::kReachesFiles},
    {"LoadDataset", Effect::kReachesFiles},
    {"MatchingFiles", Effect::kReachesFiles},
    {"MatchingFilesDataset", Effect::kReachesFiles},
    {"MergeV2Checkpoints", Effect::kCheckpoint},
    {"MlirPassthroughOp", Effect::kHoldsGraph},
    {"PrintV2", Effect::kByAttribute},
    {"PyFunc", Effect::kRunsPython},
    {"PyFuncStateless", Effect::kRunsPython},
    {"ReadFile", Effect::kReachesFiles},
    {"RecordInput", Effect::kReachesFiles},
    {"RegisterDataset", Effect::kReachesFiles},
    {"RegisterDatasetV2", Effect::kReachesFiles},
    {"RemoteFusedGraphExecute", Effect::kHoldsGraph},
    {"Restore", Effect::kCheckpoint},
    {"RestoreSlice", Effect::kCheckpoint},
    {"RestoreV2", Effect::kCheckpoint},
    {"Rpc", Effect::kReachesFiles},
    {"RpcClient", Effect::kReachesFiles},
    {"RpcServer", Effect::kReachesFiles},
    {"Save", Effect::kCheckpoint},
    {"SaveDataset", Effect::kReachesFiles},
    {"SaveDatasetV2", Effect::kReachesFiles},
    {"SaveSlices", Effect::kCheckpoint},
    {"SaveV2", Effect::kCheckpoint},
    {"SnapshotChunkDataset", Effect::kReachesFiles},
    {"SnapshotDataset", Effect::kReachesFiles},
    {"SnapshotDatasetReader", Effect::kReachesFiles},
    {"SnapshotDatasetV2", Effect::kReachesFiles},
    {"SnapshotNestedDatasetReader", Effect::kReachesFiles},
    {"SqlDataset", Effect::kReachesFiles},
    {"TFRecordDataset", Effect::kReachesFiles},
    {"TFRecordDatasetV2", Effect::kReachesFiles},
    {"TFRecordReader", Effect::kReachesFiles},
    {"TFRecordReaderV2", Effect::kReachesFiles},
    {"TextLineDataset", Effect::kReachesFiles},
    {"TextLineReader", Effect::kReachesFiles},
    {"TextLineReaderV2", Effect::kReachesFiles},
    {"TryRpc", Effect::kReachesFiles},
    {"WholeFileReader", Effect::kReachesFiles},
    {"WholeFileReaderV2", Effect::kReachesFiles},
    {"WriteFile", Effect::kReachesFiles},
};
static_assert(std::ranges::is_sorted(kOperators, {}, &OperatorRow::name));

// Which attribute makes a node reach a file, and with which values it does not.
struct AttributeRow {
  std::string_view operation;  // those that begin so
  std::string_view attribute;
  std::string_view harmless[2];  // beginnings
  std::string_view harmful;      // a beginning; empty: every other value
};
constexpr AttributeRow kAttributes[] = {
    {"Debug", "debug_urls", {"", ""}, ""},
    {"DecodeProtoV2", "descriptor_source", {"local://", "bytes://"}, ""},
    {"EncodeProto", "descriptor_source", {"local://", "bytes://"}, ""},
    {"ImmutableConst", "memory_region_name", {"memmapped_package://", ""}, ""},
    {"PrintV2", "output_stream", {"", ""}, "file://"},
};

// Operators of which every graph that computes something has at least one. Sorted.
constexpr std::string_view kCommonOperators[] = {"Add",
                                                 "AddN",
                                                 "AddV2",
                                                 "Assign",
                                                 "AvgPool",
                                                 "BatchMatMul",
                                                 "BatchMatMulV2",
                                                 "BiasAdd",
                                                 "Cast",
                                                 "Concat",
                                                 "ConcatV2",
                                                 "Const",
                                                 "Conv2D",
                                                 "DecodeJpeg",
                                                 "Enter",
                                                 "ExpandDims",
                                                 "FusedBatchNorm",
                                                 "FusedBatchNormV3",
                                                 "GatherV2",
                                                 "Identity",
                                                 "IdentityN",
                                                 "MatMul",
                                                 "MaxPool",
                                                 "Mean",
                                                 "Merge",
                                                 "Mul",
                                                 "NoOp",
                                                 "Pack",
                                                 "PartitionedCall",
                                                 "Placeholder",
                                                 "PlaceholderV2",
                                                 "PlaceholderWithDefault",
                                                 "RandomUniform",
                                                 "ReadVariableOp",
                                                 "RealDiv",
                                                 "Relu",
                                                 "Reshape",
                                                 "Shape",
                                                 "Sigmoid",
                                                 "Softmax",
                                                 "StatefulPartitionedCall",
                                                 "StridedSlice",
                                                 "Sub",
                                                 "Switch",
                                                 "VarHandleOp",
                                                 "Variable",
                                                 "VariableV2",
                                                 "_Arg",
                                                 "_Retval"};
static_assert(std::ranges::is_sorted(kCommonOperators));

const OperatorRow* FindOperator(std::string_view name) {
  const auto* const row =
      std::ranges::lower_bound(kOperators, name, std::ranges::less{}, &OperatorRow::name);
  return row != std::end(kOperators) && row->name == name ? row : nullptr;
}

bool IsVariable(std::string_view operation) {
  return operation == "VarHandleOp" || operation == "VariableV2" || operation == "Variable";
}

std::optional<WireType> GraphFieldType(std::uint32_t number) {
  switch (number) {
    case graph_field::kNode:
    case graph_field::kLibrary:
    case graph_field::kVersions:
    case graph_field::kDebug:
      return WireType::kBytes;
    case graph_field::kOldVersion:
      return WireType::kVarint;
    default:
      return std::nullopt;
  }
}

bool IsLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// node_def.proto: [A-Za-z0-9.][A-Za-z0-9_>./]*, and `_` and `-` as op_def_util and graphs have
// them.
bool IsNodeName(std::string_view name) {
  constexpr std::string_view kSigns = "_>./\\-";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return IsLetterOrDigit(c) || kSigns.find(c) != std::string_view::npos;
  });
}

// An operator or a function: the same without a path.
bool IsOperatorName(std::string_view name) {
  constexpr std::string_view kSigns = "_>.-";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return IsLetterOrDigit(c) || kSigns.find(c) != std::string_view::npos;
  });
}

bool LooksLikeNode(const ProbedField& node) {
  bool name = false;
  bool operation = false;
  ProtobufProbe probe(node);
  while (const auto field = probe.Next()) {
    if (field->type != WireType::kBytes || !field->fits) return false;
    const std::string_view text = base::AsText(field->content);
    switch (field->number) {
      case node_field::kName:
        name = field->is_whole() && IsNodeName(text);
        if (!name) return false;
        break;
      case node_field::kOperation:
        operation = field->is_whole() && IsOperatorName(text);
        if (!operation) return false;
        break;
      case node_field::kInput:
      case node_field::kDevice:
        if (!LooksLikeText(*field)) return false;
        break;
      case node_field::kAttribute:
      case node_field::kDebug:
      case node_field::kType:
        break;
      default:
        return false;
    }
  }
  return probe.holds() && name && operation;
}

// Whether one of the folders of a path is that of a saver: `save`, or one of several, `save_3`.
bool HasSaverScope(std::string_view name) {
  constexpr std::string_view kScope = "save";
  while (true) {
    const std::size_t end = name.find('/');
    if (end == std::string_view::npos) return false;  // what is left is the node itself
    const std::string_view part = name.substr(0, end);
    if (part == kScope) return true;
    if (part.substr(0, kScope.size() + 1) == "save_") {
      const std::string_view number = part.substr(kScope.size() + 1);
      if (!number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos) {
        return true;
      }
    }
    name.remove_prefix(end + 1);
  }
}

}  // namespace

bool LooksLikeGraphDef(ProtobufProbe probe) {
  while (const auto field = probe.Next()) {
    if (GraphFieldType(field->number) != field->type) return false;
    if (field->number == graph_field::kNode) return LooksLikeNode(*field);
  }
  return false;
}

void GraphTensors::Add(std::uint64_t data_type, std::uint64_t elements) {
  if (data_type > kReferenceTypes) data_type -= kReferenceTypes;
  const std::string_view type = data_type < std::size(kTypes) ? kTypes[data_type] : "";
  if (type == "STRING" || type == "RESOURCE" || type == "VARIANT") return;
  ++tensors_;
  if (!type.empty()) elements_by_type_[type] += elements;
  if (__builtin_add_overflow(elements_, elements, &elements_)) counted_ = false;
}

void GraphTensors::Tell(model::Facts& facts) const {
  facts.tensor_count = tensors_;
  if (counted_) facts.parameters = elements_;
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts.quantization = std::string(type);
  }
}

bool GraphDefReader::Read(std::uint64_t begin, std::uint64_t end, const GraphSurroundings& around) {
  around_ = around;
  function_.clear();
  bool only_known = true;
  cursor_.Seek(begin);
  WireMessage graph(cursor_, end);
  while (const auto field = graph.Next()) {
    if (GraphFieldType(field->number) != field->type) {
      only_known = false;
    } else if (field->number == graph_field::kNode) {
      ReadNode(*field);
    } else if (field->number == graph_field::kLibrary) {
      ReadLibrary(*field);
    }
  }
  CheckEnd(graph);
  return only_known;
}

void GraphDefReader::ReadLibrary(const WireField& library) {
  WireMessage message = Fields(library);
  while (const auto field = message.Next()) {
    if (field->number == kLibraryFunction) ReadFunction(*field);
  }
  CheckEnd(message);
}

void GraphDefReader::ReadFunction(const WireField& function) {
  WireMessage message = Fields(function);
  while (const auto field = message.Next()) {
    if (field->number == function_field::kNode) ReadNode(*field);
    if (field->number != function_field::kSignature) continue;
    WireMessage signature = Fields(*field);
    while (const auto part = signature.Next()) {
      if (part->number == kSignatureName) function_ = Text(*part, kMaxNameBytes);
    }
    CheckEnd(signature);
  }
  CheckEnd(message);
  function_.clear();
}

void GraphDefReader::ReadNode(const WireField& field) {
  cursor_.budget().Take(work::kTensor);
  Node node;
  WireMessage message = Fields(field);
  while (const auto part = message.Next()) {
    // One that is repeated replaces that before, so all fields are gone over.
    if (part->number == node_field::kName) node.name = Text(*part, kMaxNameBytes);
    if (part->number == node_field::kOperation) node.operation = Text(*part, kMaxOperatorBytes);
  }
  CheckEnd(message);
  ++nodes_;
  if (node.operation == "Const") ReadConstant(field);
  if (IsVariable(node.operation)) ReadVariable(field);
  LookAtOperator(node, field);
}

void GraphDefReader::LookAtOperator(const Node& node, const WireField& field) {
  const OperatorRow* const row = FindOperator(node.operation);
  if (row == nullptr) {
    has_common_operator_ =
        has_common_operator_ ||
        std::ranges::binary_search(kCommonOperators, std::string_view(node.operation));
    return;
  }
  has_common_operator_ = true;
  switch (row->effect) {
    case Effect::kRunsPython:
      return AddRisk(RiskId::kTfExecutesCode, node, RiskSeverity(RiskId::kTfExecutesCode));
    case Effect::kReachesFiles:
      return AddRisk(RiskId::kTfReachesFiles, node, RiskSeverity(RiskId::kTfReachesFiles));
    case Effect::kCheckpoint:
      if (!IsOfSaver(node)) AddRisk(RiskId::kTfReachesFiles, node, Severity::kMedium);
      return;
    case Effect::kVocabulary:
      if (!around_.has_assets) AddRisk(RiskId::kTfReachesFiles, node, Severity::kMedium);
      return;
    case Effect::kHoldsGraph:
      return AddRisk(RiskId::kOpaque, node, RiskSeverity(RiskId::kOpaque));
    case Effect::kByAttribute:
      return LookAtAttribute(node, field);
  }
}

void GraphDefReader::LookAtAttribute(const Node& node, const WireField& field) {
  const auto begins = [](std::string_view text, std::string_view beginning) {
    return text.substr(0, beginning.size()) == beginning;
  };
  for (const AttributeRow& row : kAttributes) {
    if (!begins(node.operation, row.operation)) continue;
    const auto value = Attribute(field, row.attribute);
    if (!value.has_value()) continue;
    std::string text;
    WireMessage message = Fields(*value);
    while (const auto part = message.Next()) {
      if (part->number == value_field::kText) text = Text(*part, kMaxAttributeBytes);
      if (part->number != value_field::kList) continue;
      WireMessage list = Fields(*part);
      while (const auto item = list.Next()) {
        if (item->number == kListText && text.empty()) text = Text(*item, kMaxAttributeBytes);
      }
      CheckEnd(list);
    }
    CheckEnd(message);
    const bool harmless =
        text.empty() || std::any_of(std::begin(row.harmless), std::end(row.harmless),
                                    [&](std::string_view beginning) {
                                      return !beginning.empty() && begins(text, beginning);
                                    });
    if (harmless || !begins(text, row.harmful)) continue;
    AddRisk(RiskId::kTfReachesFiles, node, RiskSeverity(RiskId::kTfReachesFiles));
  }
}

// By names that the file chooses: enough to tell an ordinary model from one that saves or restores
// in the middle of its graph, and no more. What reads and writes files of any kind has no excuse.
bool GraphDefReader::IsOfSaver(const Node& node) const {
  if (function_.find("_traced_save") != std::string::npos ||
      function_.find("_traced_restore") != std::string::npos) {
    return true;
  }
  const std::string& scope = around_.saver_scope;
  return HasSaverScope(node.name) || (!scope.empty() && node.name.rfind(scope, 0) == 0);
}

void GraphDefReader::AddRisk(RiskId id, const Node& node, Severity severity) {
  cursor_.budget().Take(work::kRisk);
  std::string evidence = node.operation + " in node \"" + node.name + "\"";
  if (!function_.empty()) evidence += " of function \"" + function_ + "\"";
  risks_.Add(id, evidence, severity);
}

void GraphDefReader::ReadConstant(const WireField& field) {
  const auto value = Attribute(field, "value");
  if (!value.has_value()) return;
  WireMessage message = Fields(*value);
  while (const auto part = message.Next()) {
    if (part->number != value_field::kTensor) continue;
    TensorShape shape;
    WireMessage tensor = Fields(*part);
    while (const auto item = tensor.Next()) {
      if (item->number == tensor_field::kType) shape.data_type = item->value;
      if (item->number == tensor_field::kShape) ReadShape(*item, shape);
    }
    CheckEnd(tensor);
    constants_.Add(shape.data_type, shape.known ? shape.elements : 0);
    if (!shape.known) constants_.AddUncounted();
  }
  CheckEnd(message);
}

void GraphDefReader::ReadVariable(const WireField& field) {
  TensorShape shape;
  if (const auto type = Attribute(field, "dtype")) {
    WireMessage message = Fields(*type);
    while (const auto part = message.Next()) {
      if (part->number == value_field::kType) shape.data_type = part->value;
    }
    CheckEnd(message);
  }
  if (const auto extents = Attribute(field, "shape")) {
    WireMessage message = Fields(*extents);
    while (const auto part = message.Next()) {
      if (part->number == value_field::kShape) ReadShape(*part, shape);
    }
    CheckEnd(message);
  }
  variables_.Add(shape.data_type, shape.known ? shape.elements : 0);
  if (!shape.known) variables_.AddUncounted();
}

void GraphDefReader::ReadShape(const WireField& shape, TensorShape& tensor) {
  std::size_t dimensions = 0;
  WireMessage message = Fields(shape);
  while (const auto field = message.Next()) {
    if (field->number == shape_field::kUnknownRank && field->value != 0) tensor.known = false;
    if (field->number != shape_field::kExtent || field->type != WireType::kBytes) continue;
    cursor_.budget().Take(work::kExtent);
    std::uint64_t size = 0;
    WireMessage extent = Fields(*field);
    while (const auto part = extent.Next()) {
      if (part->number == kExtentSize) size = part->value;
    }
    CheckEnd(extent);
    // A negative one is not known before the graph runs.
    const bool unknown = size >> 63 != 0 || ++dimensions > kMaxDimensions;
    if (unknown || __builtin_mul_overflow(tensor.elements, size, &tensor.elements)) {
      tensor.known = false;
    }
  }
  CheckEnd(message);
}

std::optional<WireField> GraphDefReader::Attribute(const WireField& node, std::string_view name) {
  std::optional<WireField> found;
  WireMessage message = Fields(node);
  while (const auto field = message.Next()) {
    if (field->number != node_field::kAttribute) continue;
    std::string key;
    std::optional<WireField> value;
    WireMessage entry = Fields(*field);
    while (const auto part = entry.Next()) {
      if (part->number == kKey) key = Text(*part, kMaxAttributeBytes);
      if (part->number == kValue && part->type == WireType::kBytes) value = part;
    }
    CheckEnd(entry);
    if (key == name && value.has_value()) found = value;
  }
  return found;
}

std::string GraphDefReader::Text(const WireField& field, std::size_t keep) {
  if (field.type != WireType::kBytes || !cursor_.Seek(field.begin)) return {};
  return cursor_.Text(field.end - field.begin, keep).value_or("");
}

WireMessage GraphDefReader::Fields(const WireField& field) {
  // A field's place was checked when it was read.
  cursor_.Seek(field.begin);
  return WireMessage(cursor_, field.type == WireType::kBytes ? field.end : field.begin);
}

void GraphDefReader::CheckEnd(const WireMessage& message) {
  if (!message.broken() || cursor_.budget().spent()) return;
  constants_.AddUncounted();
  variables_.AddUncounted();
  cursor_.budget().Take(work::kRisk);
  risks_.Add(RiskId::kMalformed, "a field that is broken at " + AtOffset(cursor_.offset()));
}

}  // namespace weighmaster::agent::formats
