#include "agent/formats/coreml/coreml.h"

#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/protobuf_probe.h"
#include "agent/formats/grammars/protobuf_wire.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxFactBytes;

// Field numbers of the definitions that the header names.
namespace model_field {
constexpr std::uint32_t kVersion = 1, kDescription = 2, kUpdatable = 10, kFirstKind = 200;
}
namespace kind_field {
constexpr std::uint32_t kPipelineClassifier = 200, kPipelineRegressor = 201, kPipeline = 202,
                        kNetworkRegressor = 303, kNetworkClassifier = 403, kNetwork = 500,
                        kProgram = 502, kCustomModel = 555, kLinkedModel = 556;
}
namespace description_field {
constexpr std::uint32_t kInput = 1, kOutput = 10, kPredicted = 11, kProbabilities = 12, kState = 13,
                        kFunction = 20, kDefaultFunction = 21, kTrainingInput = 50, kMetadata = 100;
}
namespace metadata_field {
constexpr std::uint32_t kShort = 1, kLicense = 4, kUserDefined = 100;
}
namespace operation_field {
constexpr std::uint32_t kType = 1, kInput = 2, kBlock = 4, kAttribute = 5;
}
namespace weight_field {
constexpr std::uint32_t kFloats = 1, kHalves = 2, kRaw = 30, kBytes = 31, kQuantization = 40;
}
namespace data_field {  // of a MIL Value
constexpr std::uint32_t kType = 2, kBlobFile = 5;
}
constexpr std::uint32_t kFeatureName = 1;
constexpr std::uint32_t kModels = 1, kPipelineOfKind = 1;
constexpr std::uint32_t kClassName = 10;  // of a custom model and of a custom layer
constexpr std::uint32_t kLayer = 1, kCustomLayer = 500, kBranch = 605, kLoop = 615;
constexpr std::uint32_t kBranchNetworks[] = {1, 2}, kLoopNetworks[] = {3, 4};
constexpr std::uint32_t kQuantizationBits = 1;
constexpr std::uint32_t kFunctionOfProgram = 2, kBlockOfFunction = 3;
constexpr std::uint32_t kOperation = 3, kBinding = 1, kBoundValue = 2;
constexpr std::uint32_t kBlobFileName = 1, kBlobOffset = 2;
constexpr std::uint32_t kTensorType = 1, kTensorDataType = 1, kTensorDimension = 3;
constexpr std::uint32_t kConstantDimension = 1, kDimensionSize = 1;
constexpr std::uint32_t kKey = 1, kValue = 2;

constexpr std::uint64_t kNewestVersion = 10;
// Far ahead of it: a larger number is none of a version.
constexpr std::uint64_t kMaxVersion = 64;
constexpr std::size_t kMaxNameBytes = 256;
// Models in pipelines in pipelines, and networks and blocks in branches and loops.
constexpr int kMaxDepth = 16;

constexpr std::pair<std::uint32_t, std::string_view> kKinds[] = {
    {200, "pipeline_classifier"},
    {201, "pipeline_regressor"},
    {202, "pipeline"},
    {300, "glm_regressor"},
    {301, "support_vector_regressor"},
    {302, "tree_ensemble_regressor"},
    {303, "neural_network_regressor"},
    {304, "bayesian_probit_regressor"},
    {400, "glm_classifier"},
    {401, "support_vector_classifier"},
    {402, "tree_ensemble_classifier"},
    {403, "neural_network_classifier"},
    {404, "k_nearest_neighbors_classifier"},
    {500, "neural_network"},
    {501, "item_similarity_recommender"},
    {502, "ml_program"},
    {555, "custom_model"},
    {556, "linked_model"},
    {560, "class_confidence_thresholding"},
    {600, "one_hot_encoder"},
    {601, "imputer"},
    {602, "feature_vectorizer"},
    {603, "dict_vectorizer"},
    {604, "scaler"},
    {606, "categorical_mapping"},
    {607, "normalizer"},
    {609, "array_feature_extractor"},
    {610, "non_maximum_suppression"},
    {900, "identity"},
    {2000, "text_classifier"},
    {2001, "word_tagger"},
    {2002, "vision_feature_print"},
    {2003, "sound_analysis_preprocessing"},
    {2004, "gazetteer"},
    {2005, "word_embedding"},
    {2006, "audio_feature_print"},
    {3000, "serialized_model"},
};

// MIL's DataType, by number.
constexpr std::pair<std::uint64_t, std::string_view> kTypes[] = {
    {1, "BOOL"}, {10, "F16"},     {11, "F32"},     {12, "F64"}, {13, "BF16"}, {21, "I8"},
    {22, "I16"}, {23, "I32"},     {24, "I64"},     {25, "I4"},  {31, "U8"},   {32, "U16"},
    {33, "U32"}, {34, "U64"},     {35, "U4"},      {36, "U2"},  {37, "U1"},   {38, "U6"},
    {39, "U3"},  {40, "F8_E4M3"}, {41, "F8_E5M2"},
};
// Quantised weights of a network, by their bits.
constexpr std::string_view kQuantized[] = {"", "U1", "U2", "U3", "U4", "U5", "U6", "U7", "U8"};

// Which fields of which layer are WeightParams; they may lie in a message of the layer's own.
struct LayerWeights {
  std::uint32_t layer;
  std::uint32_t inner;                   // 0: none
  std::array<std::uint8_t, 15> weights;  // 0: no further one
};
constexpr LayerWeights kLayerWeights[] = {
    {100, 0, {90, 91}},
    {130, 25, {1}},
    {130, 71, {1, 2}},
    {140, 0, {20, 21}},
    {150, 0, {20, 21}},
    {160, 0, {15, 16, 17, 18}},
    {245, 0, {2, 5}},
    {250, 0, {2}},
    {290, 0, {2}},
    {400, 0, {30, 31, 32}},
    {410, 0, {30, 31, 32, 50, 51, 52, 70, 71, 72}},
    {420, 20, {1, 2, 3, 4, 20, 21, 22, 23, 40, 41, 42, 43, 60, 61, 62}},
    {430, 20, {1, 2, 3, 4, 20, 21, 22, 23, 40, 41, 42, 43, 60, 61, 62}},
    {500, 0, {20}},
    {1040, 0, {20, 21}},
    {1045, 0, {8, 9}},
    {1070, 0, {2}},
    {1350, 0, {3, 4}},
    {1471, 0, {60, 61}},
};

template <typename Row, typename Number>
std::string_view NameOf(const Row& rows, Number number) {
  for (const auto& [id, name] : rows) {
    if (id == number) return name;
  }
  return {};
}

bool IsKind(const ProbedField& field) {
  return field.type == WireType::kBytes && !NameOf(kKinds, field.number).empty();
}

// A feature, or a function: both begin with their name.
bool BeginsWithName(const ProbedField& feature) {
  ProtobufProbe probe(feature);
  const auto first = probe.Next();
  return first.has_value() && first->number == kFeatureName && first->length > 0 && first->fits &&
         LooksLikeText(*first);
}

bool LooksLikeMetadata(const ProbedField& metadata) {
  ProtobufProbe probe(metadata);
  while (const auto field = probe.Next()) {
    if (field->type != WireType::kBytes || !field->fits) return false;
    if (field->number == metadata_field::kUserDefined) continue;
    if (field->number > metadata_field::kLicense || !LooksLikeText(*field)) return false;
  }
  return probe.holds();
}

bool LooksLikeDescription(const ProbedField& description) {
  ProtobufProbe probe(description);
  while (const auto field = probe.Next()) {
    if (field->type != WireType::kBytes || !field->fits) return false;
    bool right = false;
    switch (field->number) {
      case description_field::kInput:
      case description_field::kOutput:
      case description_field::kState:
      case description_field::kFunction:
      case description_field::kTrainingInput:
        right = BeginsWithName(*field);
        break;
      case description_field::kPredicted:
      case description_field::kProbabilities:
      case description_field::kDefaultFunction:
        right = LooksLikeText(*field);
        break;
      case description_field::kMetadata:
        right = LooksLikeMetadata(*field);
        break;
      default:
        break;
    }
    if (!right) return false;
  }
  return probe.holds();
}

// One reading of one file.
class CoreMlReader {
 public:
  CoreMlReader(ByteSource& source, WorkBudget& budget) : cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  // False when the message has a field that is none of a Model.
  bool ReadModel(std::uint64_t begin, std::uint64_t end, int depth);
  void ReadDescription(const WireField& description);
  void ReadMetadata(const WireField& metadata);
  void ReadKind(const WireField& kind, int depth);
  void ReadPipeline(const WireField& pipeline, int depth);
  void ReadLinkedModel(const WireField& linked);

  void ReadNetwork(const WireField& network, int depth);
  void ReadLayer(const WireField& layer, int depth);
  void ReadLayerWeights(const WireField& layer, const LayerWeights& row);
  void ReadWeights(const WireField& weights);

  void ReadProgram(const WireField& program);
  void ReadFunction(const WireField& function);
  void ReadBlock(const WireField& block, int depth);
  void ReadOperation(const WireField& operation, int depth);
  void ReadInput(const WireField& entry);
  void ReadValue(const WireField& value);
  // How many elements a ValueType has; nothing where it is no tensor or not of known extents.
  std::optional<std::uint64_t> Elements(const WireField& type, std::uint64_t& data_type);
  std::string CustomClass(const WireField& operation);

  void Count(std::string_view type, std::uint64_t elements);
  // The last of the fields that a path of numbers leads to.
  std::optional<WireField> Find(const WireField& message,
                                std::initializer_list<std::uint32_t> path);
  std::string Text(const WireField& field, std::size_t keep);
  WireMessage Fields(const WireField& field);
  void CheckEnd(const WireMessage& message);
  void AddRisk(RiskId id, std::string_view evidence);
  bool IsTooDeep(const WireField& field, int depth);

  Cursor cursor_;
  model::Facts facts_;
  RiskList risks_;
  std::string short_description_;
  bool has_kind_ = false;
  bool has_description_ = false;
  bool broken_ = false;
  bool counted_ = true;
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
  // Which blobs were counted: several functions may share one. The file's name is hashed, which is
  // safe in a tree.
  std::set<std::pair<std::size_t, std::uint64_t>> blobs_;
};

model::Facts CoreMlReader::Read() && {
  if (!ReadModel(0, cursor_.end(), 0)) return {};
  const bool spent = cursor_.budget().spent();
  // A file that was cut off may have lost its kind, which stands last.
  if (!has_description_ || (!has_kind_ && !broken_ && !spent)) return {};
  if (spent) risks_.AddSpent(cursor_.offset());
  facts_.format = model::Format::kCoreMl;
  if (facts_.name.empty()) facts_.name = short_description_;
  if (tensors_ > 0) {
    facts_.tensor_count = tensors_;
    if (counted_ && !spent) facts_.parameters = parameters_;
  }
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts_.quantization = std::string(type);
  }
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
bool CoreMlReader::ReadModel(std::uint64_t begin, std::uint64_t end, int depth) {
  cursor_.Seek(begin);
  WireMessage message(cursor_, end);
  while (const auto field = message.Next()) {
    if (field->number == model_field::kVersion && field->type == WireType::kVarint) {
      if (field->value == 0 || field->value > kMaxVersion) return false;
      if (field->value > kNewestVersion) {
        AddRisk(RiskId::kUnsupportedVersion,
                "specification version " + std::to_string(field->value));
      }
    } else if (field->number == model_field::kDescription && field->type == WireType::kBytes) {
      has_description_ = true;
      if (depth == 0) ReadDescription(*field);
    } else if (field->number >= model_field::kFirstKind && field->type == WireType::kBytes) {
      has_kind_ = true;
      if (depth == 0) {
        facts_.architecture = std::string(NameOf(kKinds, field->number));
      }
      ReadKind(*field, depth);
    } else if (field->number != model_field::kUpdatable || field->type != WireType::kVarint) {
      return false;
    }
  }
  CheckEnd(message);
  return true;
}

void CoreMlReader::ReadDescription(const WireField& description) {
  WireMessage message = Fields(description);
  while (const auto field = message.Next()) {
    if (field->number == description_field::kMetadata) ReadMetadata(*field);
  }
  CheckEnd(message);
}

void CoreMlReader::ReadMetadata(const WireField& metadata) {
  WireMessage message = Fields(metadata);
  while (const auto field = message.Next()) {
    cursor_.budget().Take(kMaxFactBytes * work::kTextByte);
    if (field->number == metadata_field::kShort) {
      short_description_ = CleanText(Text(*field, kMaxFactBytes + 4));
    } else if (field->number == metadata_field::kLicense) {
      facts_.license = CleanText(Text(*field, kMaxFactBytes + 4));
    } else if (field->number == metadata_field::kUserDefined) {
      const auto key = Find(*field, {kKey});
      const auto value = Find(*field, {kValue});
      if (!key.has_value() || !value.has_value()) continue;
      if (Text(*key, kMaxNameBytes) != "name") continue;
      facts_.name = CleanText(Text(*value, kMaxFactBytes + 4));
    }
  }
  CheckEnd(message);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void CoreMlReader::ReadKind(const WireField& kind, int depth) {
  switch (kind.number) {
    case kind_field::kPipelineClassifier:
    case kind_field::kPipelineRegressor:
      if (const auto pipeline = Find(kind, {kPipelineOfKind})) ReadPipeline(*pipeline, depth);
      return;
    case kind_field::kPipeline:
      return ReadPipeline(kind, depth);
    case kind_field::kNetworkRegressor:
    case kind_field::kNetworkClassifier:
    case kind_field::kNetwork:
      return ReadNetwork(kind, depth);
    case kind_field::kProgram:
      return ReadProgram(kind);
    case kind_field::kCustomModel: {
      const auto name = Find(kind, {kClassName});
      return AddRisk(RiskId::kCustomOperators,
                     "the custom model " + (name.has_value() ? Text(*name, kMaxNameBytes) : ""));
    }
    case kind_field::kLinkedModel:
      return ReadLinkedModel(kind);
    default:
      return;
  }
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void CoreMlReader::ReadPipeline(const WireField& pipeline, int depth) {
  if (IsTooDeep(pipeline, depth)) return;
  WireMessage message = Fields(pipeline);
  while (const auto field = message.Next()) {
    if (field->number != kModels || field->type != WireType::kBytes) continue;
    ReadModel(field->begin, field->end, depth + 1);
  }
  CheckEnd(message);
}

// A StringParameter each: the name of a file, and where to look for it, several places with `:`
// between them. `$BUNDLE_MAIN` and its like stand for places of the app.
void CoreMlReader::ReadLinkedModel(const WireField& linked) {
  for (const std::uint32_t part : {1U, 2U}) {
    const auto field = Find(linked, {1, part, 1});
    if (!field.has_value()) continue;
    const std::string text = Text(*field, base::limits::kMaxPathBytes);
    std::string_view rest = text;
    while (true) {
      const std::size_t end = rest.find(':');
      const std::string_view path = rest.substr(0, end);
      if (LeavesFolder(path)) AddRisk(RiskId::kExternalDataEscapes, path);
      if (end == std::string_view::npos || cursor_.budget().spent()) break;
      rest.remove_prefix(end + 1);
    }
  }
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void CoreMlReader::ReadNetwork(const WireField& network, int depth) {
  if (IsTooDeep(network, depth)) return;
  WireMessage message = Fields(network);
  while (const auto field = message.Next()) {
    if (field->number == kLayer) ReadLayer(*field, depth);
  }
  CheckEnd(message);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void CoreMlReader::ReadLayer(const WireField& layer, int depth) {
  WireMessage message = Fields(layer);
  while (const auto field = message.Next()) {
    if (field->type != WireType::kBytes) continue;
    if (field->number == kCustomLayer) {
      const auto name = Find(*field, {kClassName});
      AddRisk(RiskId::kCustomOperators,
              "the custom layer " + (name.has_value() ? Text(*name, kMaxNameBytes) : ""));
    } else if (field->number == kBranch || field->number == kLoop) {
      for (const std::uint32_t number :
           field->number == kBranch ? kBranchNetworks : kLoopNetworks) {
        if (const auto network = Find(*field, {number})) ReadNetwork(*network, depth + 1);
      }
    }
    for (const LayerWeights& row : kLayerWeights) {
      if (row.layer == field->number) ReadLayerWeights(*field, row);
    }
  }
  CheckEnd(message);
}

void CoreMlReader::ReadLayerWeights(const WireField& layer, const LayerWeights& row) {
  const auto is_weights = [&](std::uint32_t number) {
    return std::find(row.weights.begin(), row.weights.end(), number) != row.weights.end();
  };
  WireMessage message = Fields(layer);
  while (const auto field = message.Next()) {
    if (field->type != WireType::kBytes) continue;
    if (row.inner == 0) {
      if (is_weights(field->number)) ReadWeights(*field);
      continue;
    }
    if (field->number != row.inner) continue;
    WireMessage inner = Fields(*field);
    while (const auto part = inner.Next()) {
      if (part->type == WireType::kBytes && is_weights(part->number)) ReadWeights(*part);
    }
    CheckEnd(inner);
  }
  CheckEnd(message);
}

void CoreMlReader::ReadWeights(const WireField& weights) {
  std::uint64_t floats = 0;
  std::uint64_t halves = 0;
  std::uint64_t quantized_bytes = 0;
  std::uint64_t bits = 8;
  WireMessage message = Fields(weights);
  while (const auto field = message.Next()) {
    // Of all types but varint; a float that is not packed is one field of four bytes.
    const std::uint64_t bytes = field->end - field->begin;
    switch (field->type == WireType::kVarint ? 0U : field->number) {
      case weight_field::kFloats:
        floats += bytes / 4;
        break;
      case weight_field::kHalves:
        halves = bytes / 2;
        break;
      case weight_field::kRaw:
      case weight_field::kBytes:
        quantized_bytes = bytes;
        break;
      case weight_field::kQuantization:
        if (const auto stored = Find(*field, {kQuantizationBits})) bits = stored->value;
        break;
      default:
        break;
    }
  }
  CheckEnd(message);
  if (floats > 0) return Count("F32", floats);
  if (halves > 0) return Count("F16", halves);
  if (quantized_bytes == 0) return;
  if (bits == 0 || bits >= std::size(kQuantized)) {
    counted_ = false;
    return AddRisk(RiskId::kMalformed,
                   "weights of " + std::to_string(bits) + " bits at " + AtOffset(weights.begin));
  }
  // No field is longer than the file, and no file is so long that its bits can't be counted.
  Count(kQuantized[bits], quantized_bytes * 8 / bits);
}

void CoreMlReader::ReadProgram(const WireField& program) {
  WireMessage message = Fields(program);
  while (const auto field = message.Next()) {
    if (field->number != kFunctionOfProgram) continue;
    if (const auto function = Find(*field, {kValue})) ReadFunction(*function);
  }
  CheckEnd(message);
}

void CoreMlReader::ReadFunction(const WireField& function) {
  WireMessage message = Fields(function);
  while (const auto field = message.Next()) {
    if (field->number != kBlockOfFunction) continue;
    if (const auto block = Find(*field, {kValue})) ReadBlock(*block, 0);
  }
  CheckEnd(message);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void CoreMlReader::ReadBlock(const WireField& block, int depth) {
  if (IsTooDeep(block, depth)) return;
  WireMessage message = Fields(block);
  while (const auto field = message.Next()) {
    if (field->number == kOperation) ReadOperation(*field, depth);
  }
  CheckEnd(message);
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than kMaxDepth.
void CoreMlReader::ReadOperation(const WireField& operation, int depth) {
  std::string type;
  WireMessage message = Fields(operation);
  while (const auto field = message.Next()) {
    switch (field->number) {
      case operation_field::kType:
        type = Text(*field, kMaxNameBytes);
        break;
      case operation_field::kInput:
        ReadInput(*field);
        break;
      case operation_field::kBlock:
        ReadBlock(*field, depth + 1);
        break;
      case operation_field::kAttribute:
        if (const auto value = Find(*field, {kValue})) ReadValue(*value);
        break;
      default:
        break;
    }
  }
  CheckEnd(message);
  if (type == "custom_layer") {
    AddRisk(RiskId::kCustomOperators, "the custom layer " + CustomClass(operation));
  }
}

// An Argument: bindings to names, or to values that stand in their place.
void CoreMlReader::ReadInput(const WireField& entry) {
  const auto argument = Find(entry, {kValue});
  if (!argument.has_value()) return;
  WireMessage message = Fields(*argument);
  while (const auto field = message.Next()) {
    if (field->number != kBinding) continue;
    if (const auto value = Find(*field, {kBoundValue})) ReadValue(*value);
  }
  CheckEnd(message);
}

void CoreMlReader::ReadValue(const WireField& value) {
  const auto blob = Find(value, {data_field::kBlobFile});
  if (!blob.has_value()) return;
  cursor_.budget().Take(work::kTensor);
  const auto name = Find(*blob, {kBlobFileName});
  const auto offset = Find(*blob, {kBlobOffset});
  const std::string file = name.has_value() ? Text(*name, base::limits::kMaxPathBytes) : "";
  // The folder that the model lies in.
  constexpr std::string_view kModelPath = "@model_path/";
  std::string_view path = file;
  if (path.substr(0, kModelPath.size()) == kModelPath) path.remove_prefix(kModelPath.size());
  if (LeavesFolder(path)) AddRisk(RiskId::kExternalDataEscapes, file);
  const std::pair key(std::hash<std::string_view>{}(file),
                      offset.has_value() ? offset->value : std::uint64_t{0});
  if (blobs_.size() >= base::limits::kMaxTensors || !blobs_.insert(key).second) return;
  std::uint64_t data_type = 0;
  std::optional<std::uint64_t> elements;
  if (const auto type = Find(value, {data_field::kType, kTensorType})) {
    elements = Elements(*type, data_type);
  }
  if (!elements.has_value()) counted_ = false;
  Count(NameOf(kTypes, data_type), elements.value_or(0));
}

std::optional<std::uint64_t> CoreMlReader::Elements(const WireField& type,
                                                    std::uint64_t& data_type) {
  std::uint64_t elements = 1;
  bool known = true;
  WireMessage message = Fields(type);
  while (const auto field = message.Next()) {
    if (field->number == kTensorDataType) data_type = field->value;
    if (field->number != kTensorDimension) continue;
    cursor_.budget().Take(work::kExtent);
    const auto constant = Find(*field, {kConstantDimension});
    const auto size = Find(*field, {kConstantDimension, kDimensionSize});
    // An extent of 0 is not written down.
    const std::uint64_t extent = size.has_value() ? size->value : 0;
    known = known && constant.has_value() && !__builtin_mul_overflow(elements, extent, &elements);
  }
  CheckEnd(message);
  return known ? std::optional(elements) : std::nullopt;
}

// The attribute "class_name" is a Value with one text.
std::string CoreMlReader::CustomClass(const WireField& operation) {
  WireMessage message = Fields(operation);
  while (const auto field = message.Next()) {
    if (field->number != operation_field::kAttribute) continue;
    const auto key = Find(*field, {kKey});
    if (!key.has_value() || Text(*key, kMaxNameBytes) != "class_name") continue;
    // Value.immediateValue.tensor.strings.values
    const auto name = Find(*field, {kValue, 3, 1, 4, 1});
    return name.has_value() ? Text(*name, kMaxNameBytes) : "";
  }
  return {};
}

void CoreMlReader::Count(std::string_view type, std::uint64_t elements) {
  cursor_.budget().Take(work::kTensor);
  ++tensors_;
  if (!type.empty()) elements_by_type_[type] += elements;
  if (__builtin_add_overflow(parameters_, elements, &parameters_)) counted_ = false;
}

std::optional<WireField> CoreMlReader::Find(const WireField& message,
                                            std::initializer_list<std::uint32_t> path) {
  std::optional<WireField> found = message;
  for (const std::uint32_t number : path) {
    WireMessage fields = Fields(*found);
    found.reset();
    while (const auto field = fields.Next()) {
      if (field->number == number) found = field;
    }
    CheckEnd(fields);
    if (!found.has_value()) return std::nullopt;
  }
  return found;
}

std::string CoreMlReader::Text(const WireField& field, std::size_t keep) {
  if (field.type != WireType::kBytes || !cursor_.Seek(field.begin)) return {};
  return cursor_.Text(field.end - field.begin, keep).value_or("");
}

WireMessage CoreMlReader::Fields(const WireField& field) {
  // A field's place was checked when it was read.
  cursor_.Seek(field.begin);
  return WireMessage(cursor_, field.type == WireType::kBytes ? field.end : field.begin);
}

bool CoreMlReader::IsTooDeep(const WireField& field, int depth) {
  if (depth <= kMaxDepth) return false;
  AddRisk(RiskId::kMalformed, "nested too deeply at " + AtOffset(field.begin));
  return true;
}

void CoreMlReader::AddRisk(RiskId id, std::string_view evidence) {
  cursor_.budget().Take(work::kRisk);
  risks_.Add(id, evidence);
}

void CoreMlReader::CheckEnd(const WireMessage& message) {
  if (!message.broken()) return;
  broken_ = true;
  counted_ = false;
  if (cursor_.budget().spent()) return;
  AddRisk(RiskId::kMalformed, "a field that is broken at " + AtOffset(cursor_.offset()));
}

}  // namespace

bool LooksLikeCoreMl(const FileEnds& file) {
  bool version = false;
  bool description = false;
  bool kind = false;
  ProtobufProbe probe(file);
  while (const auto field = probe.Next()) {
    if (field->number == model_field::kVersion && field->type == WireType::kVarint) {
      version = field->value >= 1 && field->value <= kMaxVersion;
      if (!version) return false;
    } else if (field->number == model_field::kDescription && field->type == WireType::kBytes) {
      description = LooksLikeDescription(*field);
      if (!description) return false;
    } else if (IsKind(*field)) {
      kind = true;
    } else if (field->number != model_field::kUpdatable || field->type != WireType::kVarint) {
      return false;
    }
  }
  // Behind a description that goes past the head, or past the end of a file that was cut off, the
  // kind can't be seen.
  return probe.holds() && version && description &&
         (kind || probe.end() == ProtobufProbe::End::kHead ||
          probe.end() == ProtobufProbe::End::kCutOff);
}

model::Facts ParseCoreMl(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return CoreMlReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
