#include "agent/formats/graphs/onnx.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/grammars/protobuf_probe.h"
#include "agent/formats/grammars/protobuf_wire.h"
#include "agent/formats/graphs/operator_domains.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxFactBytes;

// Field numbers of onnx.proto.
namespace model_field {
constexpr std::uint32_t kIrVersion = 1, kProducerName = 2, kProducerVersion = 3, kDomain = 4,
                        kModelVersion = 5, kDocString = 6, kGraph = 7, kOpsetImport = 8,
                        kMetadata = 14, kTraining = 20, kFunctions = 25, kConfiguration = 26;
}
namespace graph_field {
constexpr std::uint32_t kNode = 1, kName = 2, kInitializer = 5, kSparseInitializer = 15;
}
namespace node_field {
constexpr std::uint32_t kOpType = 4, kAttribute = 5, kDomain = 7;
}
namespace attribute_field {
constexpr std::uint32_t kTensor = 5, kGraph = 6, kTensors = 10, kGraphs = 11, kSparse = 22,
                        kSparses = 23;
}
namespace tensor_field {
constexpr std::uint32_t kDims = 1, kType = 2, kSegment = 3, kFloats = 4, kInts32 = 5, kTexts = 6,
                        kInts64 = 7, kRaw = 9, kDoubles = 10, kUints64 = 11, kExternal = 13;
}
constexpr std::uint32_t kFunctionNode = 7;
constexpr std::uint32_t kTrainingGraphs[] = {1, 2};
constexpr std::uint32_t kSparseValues = 1;

constexpr std::size_t kMaxDimensions = 64;
// Graphs within graphs (If, Loop, Scan).
constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::uint64_t kNewestIrVersion = 64;  // far ahead of today's 13

// TensorProto.DataType.
constexpr std::string_view kTypes[] = {
    "",    "F32",    "U8",   "I8",      "U16",         "I16",     "I32",
    "I64", "STRING", "BOOL", "F16",     "F64",         "U32",     "U64",
    "C64", "C128",   "BF16", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ",
    "U4",  "I4",     "F4",   "F8_E8M0", "U2",          "I2"};

std::optional<WireType> ModelFieldType(std::uint32_t number) {
  namespace f = model_field;
  switch (number) {
    case f::kIrVersion:
    case f::kModelVersion:
      return WireType::kVarint;
    case f::kProducerName:
    case f::kProducerVersion:
    case f::kDomain:
    case f::kDocString:
    case f::kGraph:
    case f::kOpsetImport:
    case f::kMetadata:
    case f::kTraining:
    case f::kFunctions:
    case f::kConfiguration:
      return WireType::kBytes;
    default:
      return std::nullopt;
  }
}

// One reading of one file. Whether it is ONNX at all shows from the fields of the whole.
class OnnxReader {
 public:
  OnnxReader(ByteSource& source, WorkBudget& budget, TensorMapWriter& map)
      : cursor_(source, budget), map_(map) {}

  model::Facts Read() &&;

 private:
  bool ReadModelField(const WireField& field);
  bool LooksLikeGraph(const WireField& field);
  void ReadGraph(std::uint64_t begin, std::uint64_t end, int depth);
  void ReadNode(const WireField& node, int depth);
  void ReadAttribute(const WireField& attribute, int depth);
  // A TensorProto, as far as it is read.
  struct TensorMessage {
    std::vector<std::uint64_t> dims;
    std::uint64_t type = 0;
    std::optional<WireField> raw;      // elements as they are hashed
    std::optional<WireField> floats;   // packed, which is the same for floats and pairs of them
    std::optional<WireField> doubles;  // likewise
    bool scattered = false;            // elements in another form, or in several pieces
    bool elsewhere = false;            // in another file, or a part of the tensor
  };

  void ReadTensor(const WireField& tensor, bool counts);
  void ReadElements(const WireField& field, TensorMessage& tensor);
  void Count(const TensorMessage& tensor);
  void MapTensor(const TensorMessage& tensor);
  void ReadSparse(const WireField& sparse, bool counts);
  void ReadExternal(const WireField& entry);
  void ReadMetadata(const WireField& entry);
  void ReadDimensions(const WireField& field, std::vector<std::uint64_t>& dims);
  std::string Text(const WireField& field, std::size_t keep);
  // Two texts of a map entry: field 1 and field 2.
  std::pair<std::string, std::string> Entry(const WireField& entry, std::size_t keep);
  WireMessage Fields(const WireField& field);
  void CheckEnd(const WireMessage& message);
  void AddRisk(RiskId id, std::string_view evidence);

  Cursor cursor_;
  TensorMapWriter& map_;
  model::Facts facts_;
  RiskList risks_;
  bool has_graph_ = false;
  bool has_version_ = false;
  bool counted_ = true;
  std::uint64_t parameters_ = 0;
  std::uint64_t tensors_ = 0;
  std::map<std::uint64_t, std::uint64_t> elements_by_type_;
};

model::Facts OnnxReader::Read() && {
  WireMessage message(cursor_, cursor_.end());
  while (const auto field = message.Next()) {
    if (!ReadModelField(*field)) return {};
  }
  const bool spent = cursor_.budget().spent();
  if (!has_graph_ && !(message.broken() && has_version_) && !spent) return {};
  CheckEnd(message);
  if (spent) risks_.AddSpent(cursor_.offset());
  facts_.format = model::Format::kOnnx;
  facts_.tensor_count = tensors_;
  if (counted_) facts_.parameters = parameters_;
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most || type >= std::size(kTypes)) continue;
    most = elements;
    facts_.quantization = std::string(kTypes[type]);
  }
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

bool OnnxReader::ReadModelField(const WireField& field) {
  if (ModelFieldType(field.number) != field.type) return false;
  switch (field.number) {
    case model_field::kIrVersion:
      has_version_ = field.value >= 1 && field.value <= kNewestIrVersion;
      return has_version_;
    case model_field::kProducerName:
      return base::IsUtf8(Text(field, kMaxNameBytes));
    case model_field::kGraph:
      if (!LooksLikeGraph(field)) return false;
      has_graph_ = true;
      ReadGraph(field.begin, field.end, 0);
      return true;
    case model_field::kMetadata:
      ReadMetadata(field);
      return true;
    case model_field::kFunctions: {
      WireMessage function = Fields(field);
      while (const auto part = function.Next()) {
        if (part->number == kFunctionNode) ReadNode(*part, 0);
      }
      CheckEnd(function);
      return true;
    }
    case model_field::kTraining: {
      WireMessage training = Fields(field);
      while (const auto part = training.Next()) {
        const bool graph = std::find(std::begin(kTrainingGraphs), std::end(kTrainingGraphs),
                                     part->number) != std::end(kTrainingGraphs);
        if (graph && part->type == WireType::kBytes) ReadGraph(part->begin, part->end, 0);
      }
      CheckEnd(training);
      return true;
    }
    default:
      return true;
  }
}

// The first field of a GraphProto is a message or a text of a known number.
bool OnnxReader::LooksLikeGraph(const WireField& field) {
  constexpr std::uint32_t kKnown[] = {1, 2, 5, 10, 11, 12, 13, 14, 15, 16};
  WireMessage graph = Fields(field);
  const auto first = graph.Next();
  if (!first.has_value()) return !graph.broken();
  return first->type == WireType::kBytes &&
         std::find(std::begin(kKnown), std::end(kKnown), first->number) != std::end(kKnown);
}

WireMessage OnnxReader::Fields(const WireField& field) {
  // A field's place was checked when it was read.
  cursor_.Seek(field.begin);
  return WireMessage(cursor_, field.type == WireType::kBytes ? field.end : field.begin);
}

void OnnxReader::AddRisk(RiskId id, std::string_view evidence) {
  cursor_.budget().Take(work::kRisk);
  risks_.Add(id, evidence);
}

void OnnxReader::CheckEnd(const WireMessage& message) {
  if (!message.broken()) return;
  counted_ = false;
  if (cursor_.budget().spent()) return;
  AddRisk(RiskId::kMalformed, "a field that is broken at " + AtOffset(cursor_.offset()));
}

std::string OnnxReader::Text(const WireField& field, std::size_t keep) {
  if (field.type != WireType::kBytes || !cursor_.Seek(field.begin)) return {};
  return cursor_.Text(field.end - field.begin, keep).value_or("");
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void OnnxReader::ReadGraph(std::uint64_t begin, std::uint64_t end, int depth) {
  if (depth > kMaxDepth) {
    AddRisk(RiskId::kMalformed, "graphs nested too deeply at " + AtOffset(begin));
    return;
  }
  cursor_.Seek(begin);
  WireMessage graph(cursor_, end);
  while (const auto field = graph.Next()) {
    if (field->type != WireType::kBytes) continue;
    switch (field->number) {
      case graph_field::kNode:
        ReadNode(*field, depth);
        break;
      case graph_field::kName:
        if (depth == 0 && facts_.name.empty())
          facts_.name = CleanText(Text(*field, kMaxFactBytes + 4));
        break;
      case graph_field::kInitializer:
        ReadTensor(*field, true);
        break;
      case graph_field::kSparseInitializer:
        map_.Fail(model::WeightsReason::kSparse);
        ReadSparse(*field, true);
        break;
      default:
        break;
    }
  }
  CheckEnd(graph);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void OnnxReader::ReadNode(const WireField& node, int depth) {
  std::string domain;
  std::string op_type;
  WireMessage message = Fields(node);
  while (const auto field = message.Next()) {
    if (field->number == node_field::kOpType) op_type = Text(*field, kMaxNameBytes);
    if (field->number == node_field::kDomain) domain = Text(*field, kMaxNameBytes);
    if (field->number == node_field::kAttribute) ReadAttribute(*field, depth);
  }
  CheckEnd(message);
  if (!IsKnownOperatorDomain(domain)) AddRisk(RiskId::kCustomOperators, domain + "." + op_type);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void OnnxReader::ReadAttribute(const WireField& attribute, int depth) {
  WireMessage message = Fields(attribute);
  while (const auto field = message.Next()) {
    if (field->type != WireType::kBytes) continue;
    switch (field->number) {
      case attribute_field::kTensor:
      case attribute_field::kTensors:
        ReadTensor(*field, false);
        break;
      case attribute_field::kSparse:
      case attribute_field::kSparses:
        ReadSparse(*field, false);
        break;
      case attribute_field::kGraph:
      case attribute_field::kGraphs:
        ReadGraph(field->begin, field->end, depth + 1);
        break;
      default:
        break;
    }
  }
  CheckEnd(message);
}

void OnnxReader::ReadSparse(const WireField& sparse, bool counts) {
  WireMessage message = Fields(sparse);
  while (const auto field = message.Next()) {
    // Values and indices are tensors; both may lie outside.
    if (field->type == WireType::kBytes) {
      ReadTensor(*field, counts && field->number == kSparseValues);
    }
  }
  CheckEnd(message);
}

void OnnxReader::ReadDimensions(const WireField& field, std::vector<std::uint64_t>& dims) {
  const auto add = [&](std::uint64_t extent) {
    cursor_.budget().Take(work::kExtent);
    if (dims.size() < kMaxDimensions) {
      dims.push_back(extent);
    } else {
      counted_ = false;
      map_.Fail(model::WeightsReason::kIncomplete);
    }
  };
  if (field.type == WireType::kVarint) return add(field.value);
  if (field.type != WireType::kBytes || !cursor_.Seek(field.begin)) return;
  while (cursor_.offset() < field.end) {  // packed
    const auto extent = ReadVarint(cursor_);
    if (!extent.has_value()) return;
    add(*extent);
  }
}

void OnnxReader::ReadTensor(const WireField& tensor, bool counts) {
  TensorMessage read;
  WireMessage message = Fields(tensor);
  while (const auto field = message.Next()) {
    if (field->number == tensor_field::kDims) {
      ReadDimensions(*field, read.dims);
    } else if (field->number == tensor_field::kType) {
      read.type = field->value;
    } else {
      ReadElements(*field, read);
    }
  }
  CheckEnd(message);
  if (!counts) return;
  Count(read);
  if (map_.wanted()) MapTensor(read);
}

void OnnxReader::ReadElements(const WireField& field, TensorMessage& tensor) {
  const auto keep = [&](std::optional<WireField>& elements) {
    tensor.scattered = tensor.scattered || elements.has_value() || field.type != WireType::kBytes;
    elements = field;
  };
  switch (field.number) {
    case tensor_field::kRaw:
      tensor.raw = field;  // one that is repeated replaces that before
      break;
    case tensor_field::kFloats:
      keep(tensor.floats);
      break;
    case tensor_field::kDoubles:
      keep(tensor.doubles);
      break;
    case tensor_field::kInts32:
    case tensor_field::kInts64:
    case tensor_field::kUints64:
    case tensor_field::kTexts:
      tensor.scattered = true;
      break;
    case tensor_field::kSegment:
      tensor.elsewhere = true;
      break;
    case tensor_field::kExternal:
      tensor.elsewhere = true;
      ReadExternal(field);
      break;
    default:
      break;
  }
}

void OnnxReader::Count(const TensorMessage& tensor) {
  ++tensors_;
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : tensor.dims) {
    if (__builtin_mul_overflow(elements, extent, &elements)) counted_ = false;
  }
  elements_by_type_[std::min<std::uint64_t>(tensor.type, std::size(kTypes))] += elements;
  if (__builtin_add_overflow(parameters_, elements, &parameters_)) counted_ = false;
}

void OnnxReader::MapTensor(const TensorMessage& tensor) {
  if (tensor.elsewhere) return map_.Fail(model::WeightsReason::kIncomplete);
  if (tensor.scattered) return map_.Fail(model::WeightsReason::kPacked);
  const std::string_view name = tensor.type < std::size(kTypes) ? kTypes[tensor.type] : "";
  const ElementType* const type = FindElementType(name);
  if (type == nullptr) return map_.Fail(model::WeightsReason::kUnknownType);
  std::optional<WireField> elements = tensor.raw;
  if (!elements.has_value() && (name == "F32" || name == "C64")) elements = tensor.floats;
  if (!elements.has_value() && (name == "F64" || name == "C128")) elements = tensor.doubles;
  const auto bytes = BytesOf(*type, tensor.dims);
  const std::uint64_t begin = elements.has_value() ? elements->begin : 0;
  const std::uint64_t stored = elements.has_value() ? elements->end - begin : 0;
  if (bytes != stored) return map_.Fail(model::WeightsReason::kIncomplete);
  map_.Add({type, tensor.dims, {}, begin, false});
}

std::pair<std::string, std::string> OnnxReader::Entry(const WireField& entry, std::size_t keep) {
  std::pair<std::string, std::string> texts;
  WireMessage message = Fields(entry);
  while (const auto field = message.Next()) {
    if (field->number == 1) texts.first = Text(*field, kMaxNameBytes);
    if (field->number == 2) texts.second = Text(*field, keep);
  }
  CheckEnd(message);
  return texts;
}

void OnnxReader::ReadExternal(const WireField& entry) {
  const auto [key, location] = Entry(entry, base::limits::kMaxPathBytes);
  if (key == "location" && LeavesFolder(location)) {
    AddRisk(RiskId::kExternalDataEscapes, location);
  }
}

void OnnxReader::ReadMetadata(const WireField& entry) {
  const auto [key, value] = Entry(entry, kMaxFactBytes + 4);
  cursor_.budget().Take(value.size() * work::kTextByte);
  if (key == "license") facts_.license = CleanText(value);
  if (key == "model_name") facts_.name = CleanText(value);
  if (key == "architecture" || key == "model_type") facts_.architecture = CleanText(value);
}

}  // namespace

bool LooksLikeOnnx(const FileEnds& file) {
  if (file.head.size() < 4) return false;
  ProtobufProbe probe(file);
  std::uint64_t fields = 0;
  bool version = false;
  while (const auto field = probe.Next()) {
    if (ModelFieldType(field->number) != field->type) return false;
    if (field->number == model_field::kIrVersion) {
      version = field->value >= 1 && field->value <= kNewestIrVersion;
      if (!version) return false;
    }
    ++fields;
    // A version, and then a graph that the file was cut off in, is still a model.
    if (!field->fits && !version) return false;
  }
  return fields >= 2 && probe.end() != ProtobufProbe::End::kNoField;
}

model::Facts ParseOnnx(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  tensors.Begin();
  return OnnxReader(source, budget, tensors).Read();
}

}  // namespace weighmaster::agent::formats
