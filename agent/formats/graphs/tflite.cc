#include "agent/formats/graphs/tflite.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/grammars/flat_buffer.h"
#include "agent/formats/reading/leaves_folder.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxFactBytes;
using base::limits::kMaxTensors;

// Fields of schema.fbs.
namespace model_field {
constexpr std::uint32_t kVersion = 0, kOperatorCodes = 1, kSubgraphs = 2, kBuffers = 4,
                        kMetadata = 6, kExternalGroups = 8;
}
namespace operator_field {
constexpr std::uint32_t kOldCode = 0, kCustomCode = 1, kCode = 3;
}
namespace tensor_field {
constexpr std::uint32_t kShape = 0, kType = 1, kBuffer = 2, kSparsity = 6, kExternalBuffer = 10;
}
namespace buffer_field {
constexpr std::uint32_t kData = 0, kOffset = 1, kSize = 2;
}
namespace metadata_field {
constexpr std::uint32_t kName = 0, kBuffer = 1;
}
constexpr std::uint32_t kSubgraphTensors = 0;
constexpr std::uint32_t kGroupName = 0;
// Of metadata_schema.fbs.
namespace about_field {
constexpr std::uint32_t kName = 0, kLicense = 5;
}

constexpr std::string_view kIdentifier = "TFL3";
constexpr std::uint32_t kNewestVersion = 3;
constexpr std::string_view kMetadataName = "TFLITE_METADATA";
constexpr std::string_view kMetadataIdentifier = "M001";
constexpr std::uint64_t kSmallestFlatBuffer = 16;

constexpr std::uint32_t kCustomOperator = 32;
// Custom by name alone: the interpreter's own resolver of built-in operators has them (AddCustom in
// tflite/core/kernels/register.cc).
constexpr std::string_view kBundledOperators[] = {"AudioSpectrogram", "Mfcc", "NumericVerify",
                                                  "aeq.hadamard_rotation",
                                                  "TFLite_Detection_PostProcess"};

constexpr std::uint32_t kMaxDimensions = 64;  // of a tensor map; the largest known have 8
constexpr std::size_t kMaxNameBytes = 256;

// TensorType; those without an element type of ours (STRING, RESOURCE, VARIANT) are empty.
constexpr std::string_view kTypes[] = {
    "F32", "F16", "I32", "U8",  "I64", "",   "BOOL", "I16", "C64", "I8",      "F64",    "C128",
    "U64", "",    "",    "U32", "U16", "I4", "BF16", "I2",  "U4",  "F8_E4M3", "F8_E5M2"};

// How many bytes the elements take; packed ones fill the last byte with nothing.
std::optional<std::uint64_t> StoredBytes(const ElementType& type,
                                         const std::vector<std::uint64_t>& dims) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : dims) {
    if (__builtin_mul_overflow(elements, extent, &elements)) return std::nullopt;
  }
  const std::uint64_t blocks =
      elements / type.block_elements + (elements % type.block_elements == 0 ? 0 : 1);
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(blocks, std::uint64_t{type.block_bytes}, &bytes)) return std::nullopt;
  return bytes;
}

class TfliteReader {
 public:
  TfliteReader(ByteSource& source, WorkBudget& budget, std::uint64_t begin, std::uint64_t end,
               RiskList& risks, TensorMapWriter& map)
      : source_(source),
        budget_(budget),
        risks_(risks),
        map_(map),
        model_(source, budget, begin, end) {}

  TfliteModel Read() &&;

 private:
  // Bytes of the file.
  struct Place {
    std::uint64_t begin = 0;
    std::uint64_t bytes = 0;
  };

  void ReadModel(const FlatTable& model);
  void ReadOperators(const FlatVector& codes);
  void ReadExternalGroups(const FlatVector& groups);
  void ReadTensors(const FlatTable& subgraph);
  void ReadTensor(const FlatTable& tensor);
  void ReadMetadata(const FlatVector& entries);
  void ReadAbout(const Place& place);
  void MapTensor(const FlatTable& tensor, std::string_view type, std::vector<std::uint64_t> dims,
                 const Place& place);
  // Nothing where it is not there: then why is among the risks.
  std::optional<Place> PlaceOfBuffer(std::uint32_t index);
  // Nothing where there are too many, or one is negative.
  std::optional<std::vector<std::uint64_t>> Shape(const FlatTable& tensor);
  void AddRisk(RiskId id, std::string_view evidence);
  bool going() const { return sound_ && model_.going(); }
  void Break(std::string_view what);

  ByteSource& source_;
  WorkBudget& budget_;
  RiskList& risks_;
  TensorMapWriter& map_;
  FlatBuffer model_;
  TfliteModel read_;
  FlatVector buffers_;
  // By buffer: whether a tensor of it was counted. Signatures share their weights.
  std::vector<bool> counted_;
  bool sound_ = true;
};

void TfliteReader::AddRisk(RiskId id, std::string_view evidence) {
  budget_.Take(work::kRisk);
  risks_.Add(id, evidence);
}

void TfliteReader::Break(std::string_view what) {
  sound_ = false;
  if (!budget_.spent()) AddRisk(RiskId::kMalformed, what);
}

TfliteModel TfliteReader::Read() && {
  if (model_.Identifier() != kIdentifier && going()) {
    Break("no TensorFlow Lite model at " + AtOffset(model_.begin()));
  }
  const auto root = going() ? model_.Root() : std::optional<FlatTable>();
  if (root.has_value()) ReadModel(*root);
  if (!going()) read_.constants.Miss();
  if (!model_.broken().empty()) AddRisk(RiskId::kMalformed, model_.broken());
  read_.read_to = model_.offset();
  return std::move(read_);
}

void TfliteReader::ReadModel(const FlatTable& model) {
  const std::uint32_t version = model_.U32(model, model_field::kVersion);
  if (version > kNewestVersion) {
    AddRisk(RiskId::kUnsupportedVersion, "version " + std::to_string(version));
  }
  ReadOperators(model_.Vector(model, model_field::kOperatorCodes, 4));
  ReadExternalGroups(model_.Vector(model, model_field::kExternalGroups, 4));
  buffers_ = model_.Vector(model, model_field::kBuffers, 4);
  if (buffers_.count > kMaxTensors) {
    return Break("a count of " + std::to_string(buffers_.count) + " buffers");
  }
  counted_.resize(buffers_.count);
  ReadMetadata(model_.Vector(model, model_field::kMetadata, 4));
  const FlatVector subgraphs = model_.Vector(model, model_field::kSubgraphs, 4);
  for (std::uint32_t i = 0; i < subgraphs.count && going(); ++i) {
    if (const auto subgraph = model_.TableAt(subgraphs, i)) ReadTensors(*subgraph);
  }
}

void TfliteReader::ReadOperators(const FlatVector& codes) {
  namespace f = operator_field;
  for (std::uint32_t i = 0; i < codes.count && going(); ++i) {
    const auto code = model_.TableAt(codes, i);
    if (!code.has_value()) return;
    // The old field is a byte; what does not fit it stands in the new one. Loaders take the larger.
    const std::uint32_t number =
        std::max<std::uint32_t>(model_.U8(*code, f::kOldCode), model_.U32(*code, f::kCode));
    if (number != kCustomOperator) continue;
    const std::string name = model_.Text(*code, f::kCustomCode, kMaxNameBytes);
    const bool bundled = std::find(std::begin(kBundledOperators), std::end(kBundledOperators),
                                   name) != std::end(kBundledOperators);
    if (!bundled && going()) AddRisk(RiskId::kCustomOperators, name.empty() ? "unnamed" : name);
  }
}

void TfliteReader::ReadExternalGroups(const FlatVector& groups) {
  for (std::uint32_t i = 0; i < groups.count && going(); ++i) {
    const auto group = model_.TableAt(groups, i);
    if (!group.has_value()) return;
    const std::string path = model_.Text(*group, kGroupName, base::limits::kMaxPathBytes);
    if (LeavesFolder(path)) AddRisk(RiskId::kExternalDataEscapes, path);
  }
}

void TfliteReader::ReadTensors(const FlatTable& subgraph) {
  const FlatVector tensors = model_.Vector(subgraph, kSubgraphTensors, 4);
  for (std::uint32_t i = 0; i < tensors.count && going(); ++i) {
    budget_.Take(work::kTensor);
    if (const auto tensor = model_.TableAt(tensors, i)) ReadTensor(*tensor);
  }
}

std::optional<std::vector<std::uint64_t>> TfliteReader::Shape(const FlatTable& tensor) {
  const FlatVector shape = model_.Vector(tensor, tensor_field::kShape, 4);
  if (shape.count > kMaxDimensions) return std::nullopt;
  std::vector<std::uint64_t> dims;
  for (std::uint32_t i = 0; i < shape.count; ++i) {
    const std::uint32_t extent = model_.U32At(shape, i);
    if (extent > INT32_MAX) return std::nullopt;
    dims.push_back(extent);
  }
  return dims;
}

std::optional<TfliteReader::Place> TfliteReader::PlaceOfBuffer(std::uint32_t index) {
  namespace f = buffer_field;
  if (index >= buffers_.count) {
    Break("buffer " + std::to_string(index) + " of " + std::to_string(buffers_.count));
    return std::nullopt;
  }
  const auto buffer = model_.TableAt(buffers_, index);
  if (!buffer.has_value()) return std::nullopt;
  const FlatVector data = model_.Vector(*buffer, f::kData, 1);
  if (data.count > 0) return Place{data.begin, data.count};
  // Behind the FlatBuffer, in models of more than 2 GB: 0 and 1 mean that there is none.
  const std::uint64_t offset = model_.U64(*buffer, f::kOffset);
  const std::uint64_t bytes = model_.U64(*buffer, f::kSize);
  if (offset <= 1) return Place{};
  const std::uint64_t room = model_.end() - model_.begin();
  if (offset > room || bytes > room - offset) {
    Break("buffer " + std::to_string(index) + " of " + std::to_string(bytes) + " bytes at " +
          AtOffset(offset) + " leads out of the data");
    return std::nullopt;
  }
  return Place{model_.begin() + offset, bytes};
}

void TfliteReader::ReadTensor(const FlatTable& tensor) {
  namespace f = tensor_field;
  const bool elsewhere = model_.U32(tensor, f::kExternalBuffer) != 0;
  const std::uint32_t index = model_.U32(tensor, f::kBuffer);
  if (!elsewhere && index == 0) return;  // what is computed
  const std::uint8_t number = model_.U8(tensor, f::kType);
  const std::string_view type = number < std::size(kTypes) ? kTypes[number] : "";
  if (elsewhere) {
    const auto dims = Shape(tensor);
    if (dims.has_value()) read_.constants.Add(type, *dims);
    if (!dims.has_value()) read_.constants.AddUncounted();
    return map_.Fail(model::WeightsReason::kIncomplete);
  }
  const auto place = PlaceOfBuffer(index);
  if (!place.has_value() || place->bytes == 0) return;
  const auto dims = Shape(tensor);
  if (!going()) return;
  if (!counted_[index]) {
    if (dims.has_value()) read_.constants.Add(type, *dims);
    if (!dims.has_value()) read_.constants.AddUncounted();
    counted_[index] = true;
  }
  if (!dims.has_value()) return map_.Fail(model::WeightsReason::kIncomplete);
  MapTensor(tensor, type, *dims, *place);
}

void TfliteReader::MapTensor(const FlatTable& tensor, std::string_view type,
                             std::vector<std::uint64_t> dims, const Place& place) {
  // Of a sparse one only what is not zero is stored.
  if (model_.Has(tensor, tensor_field::kSparsity)) {
    return map_.Fail(model::WeightsReason::kSparse);
  }
  const ElementType* const element = FindElementType(type);
  if (element == nullptr) return map_.Fail(model::WeightsReason::kUnknownType);
  const auto bytes = StoredBytes(*element, dims);
  if (!bytes.has_value() || *bytes > place.bytes) {
    return Break("a tensor that is larger than its " + std::to_string(place.bytes) + " bytes at " +
                 AtOffset(place.begin));
  }
  if (*bytes != place.bytes) return map_.Fail(model::WeightsReason::kIncomplete);
  map_.Add({element, std::move(dims), {}, place.begin, false});
}

void TfliteReader::ReadMetadata(const FlatVector& entries) {
  namespace f = metadata_field;
  for (std::uint32_t i = 0; i < entries.count && going(); ++i) {
    const auto entry = model_.TableAt(entries, i);
    if (!entry.has_value()) return;
    if (model_.Text(*entry, f::kName, kMaxNameBytes) != kMetadataName) continue;
    const auto place = PlaceOfBuffer(model_.U32(*entry, f::kBuffer));
    if (place.has_value() && place->bytes >= kSmallestFlatBuffer) ReadAbout(*place);
  }
}

void TfliteReader::ReadAbout(const Place& place) {
  FlatBuffer about(source_, budget_, place.begin, place.begin + place.bytes);
  if (about.Identifier() != kMetadataIdentifier) return;
  const auto root = about.Root();
  if (root.has_value()) {
    const std::string name = about.Text(*root, about_field::kName, kMaxFactBytes + 4);
    const std::string license = about.Text(*root, about_field::kLicense, kMaxFactBytes + 4);
    budget_.Take((name.size() + license.size()) * work::kTextByte);
    read_.name = CleanText(name);
    read_.license = CleanText(license);
  }
  if (!about.broken().empty()) AddRisk(RiskId::kMalformed, "metadata: " + about.broken());
}

}  // namespace

bool LooksLikeTflite(const FileEnds& file) { return BeginsFlatBuffer(file, kIdentifier); }

TfliteModel ReadTfliteModel(ByteSource& source, WorkBudget& budget, std::uint64_t begin,
                            std::uint64_t end, RiskList& risks, TensorMapWriter& tensors) {
  return TfliteReader(source, budget, begin, end, risks, tensors).Read();
}

model::Facts ParseTflite(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  tensors.Begin();
  RiskList risks;
  TfliteModel read = ReadTfliteModel(source, budget, 0, source.size(), risks, tensors);
  model::Facts facts;
  facts.format = model::Format::kTflite;
  facts.name = std::move(read.name);
  facts.license = std::move(read.license);
  read.constants.Tell(facts);
  if (budget.spent()) risks.AddSpent(read.read_to);
  facts.risks = std::move(risks).Take();
  return facts;
}

}  // namespace weighmaster::agent::formats
