#include "agent/formats/graphs/mnn.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/grammars/flat_buffer.h"
#include "agent/formats/graphs/tensor_count.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

// Fields of MNN.fbs, Tensor.fbs and CaffeOp.fbs.
namespace net_field {
constexpr std::uint32_t kBusiness = 0, kOperators = 3, kTensorNames = 7, kTensorNumber = 8,
                        kSubgraphs = 10;
}
namespace op_field {
constexpr std::uint32_t kParameterType = 1, kParameter = 2, kName = 3, kOutputs = 4, kType = 5,
                        kDataFormat = 6, kExternalPath = 7;
}
namespace blob_field {
constexpr std::uint32_t kDims = 0, kType = 2;
}
namespace convolution_field {
constexpr std::uint32_t kCommon = 0, kWeight = 1, kBias = 2, kPacked = 3, kSymmetric = 4,
                        kExternal = 6;
}
namespace common_field {
constexpr std::uint32_t kKernelX = 2, kKernelY = 3, kGroup = 9, kOutputs = 10, kInputs = 11;
}
namespace packed_field {
constexpr std::uint32_t kBuffer = 0, kType = 2, kBits = 7;
}
namespace product_field {
constexpr std::uint32_t kWeightSize = 2, kWeight = 3, kBias = 4, kPacked = 7;
}
constexpr std::uint32_t kSubgraphNodes = 4;
constexpr std::uint32_t kPluginType = 0;
constexpr std::uint32_t kSymmetricWeight = 0;
constexpr std::uint32_t kFusedConvolutions = 0;
// Of `external`: where the weights begin in the other file, then the bytes of each array.
constexpr std::uint32_t kExternalWeight = 1;
constexpr std::uint32_t kExternalBias = 2;
constexpr std::uint64_t kFloatBytes = 4;

// OpParameter, as far as it holds weights.
namespace op_parameter {
constexpr std::uint8_t kBlob = 7, kConvolution = 9, kInnerProduct = 20, kLstm = 24, kPlugin = 30,
                       kRnn = 72, kFusedLinear = 103;
constexpr std::uint8_t kMost = 160;  // ahead of today's 103
}  // namespace op_parameter
constexpr std::uint32_t kPluginOperator = 256;

// Parameters whose weights are arrays of floats, and where `external` gives their bytes instead.
struct FloatArrays {
  std::uint8_t parameter;
  std::uint8_t first;
  std::uint8_t last;
  std::uint8_t external;  // 0: none
};
constexpr FloatArrays kFloatArrays[] = {{5, 1, 4, 0},  {27, 3, 3, 0}, {32, 1, 1, 0}, {58, 1, 2, 3},
                                        {80, 1, 2, 3}, {88, 2, 3, 5}, {95, 2, 3, 6}};

// OpType is numbered in groups; a little ahead of today's ends.
struct Range {
  std::uint32_t first;
  std::uint32_t last;
};
constexpr Range kOperators[] = {{0, 199}, {256, 349}, {512, 529}, {600, 619}};

// DataType.
constexpr std::string_view kTypes[] = {"",       "F32", "F64", "I32",  "U8",   "I16", "I8",
                                       "STRING", "C64", "I64", "BOOL", "I8",   "U8",  "I32",
                                       "BF16",   "I16", "U16", "U16",  "C128", "F16"};

// The fields of a Net by their bytes; those of offsets first say where something lies.
enum class Kind : std::uint8_t { kOffset, kByte, kNumber };
constexpr Kind kNetFields[] = {Kind::kOffset, Kind::kOffset, Kind::kOffset, Kind::kOffset,
                               Kind::kOffset, Kind::kByte,   Kind::kByte,   Kind::kOffset,
                               Kind::kNumber, Kind::kByte,   Kind::kOffset, Kind::kOffset};
constexpr std::uint32_t kVtableHeadBytes = 4;
constexpr std::uint32_t kLeastFields = net_field::kTensorNames + 1;
constexpr std::uint32_t kMostFields = 16;  // ahead of today's 12
constexpr std::uint64_t kLeastRoot = 4 + kVtableHeadBytes + 2 * kLeastFields;
constexpr std::uint64_t kMostRoot = 128;
constexpr std::size_t kHeadBytes = 4096;  // so that more of a head decides nothing else
constexpr std::uint32_t kMostTableBytes = 4 * (kMostFields + 1);
constexpr std::uint8_t kMostByte = 15;  // of the three enums of a Net

// Operators that have to be ones of MNN. The last, because builders lay them down first, so that
// they are there also in a file that was cut off.
constexpr std::uint32_t kProbedOperators = 16;
constexpr std::uint32_t kMaxDimensions = 64;
constexpr std::size_t kMaxNameBytes = 256;

std::uint32_t Little(base::ByteView head, std::uint64_t at, std::uint32_t bytes) {
  std::uint32_t value = 0;
  for (std::uint32_t i = 0; i < bytes; ++i) {
    value |= std::uint32_t{head[static_cast<std::size_t>(at + i)]} << (8 * i);
  }
  return value;
}

bool IsOperator(std::uint32_t type) {
  const auto holds = [type](const Range& range) {
    return type >= range.first && type <= range.last;
  };
  return std::any_of(std::begin(kOperators), std::end(kOperators), holds);
}

bool IsName(std::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return base::IsUtf8(text) && std::none_of(text.begin(), text.end(), control);
}

// Whether an offset leads to where a vector, text or table can be; perhaps past the end of a file
// that was cut off.
bool Leads(const FileEnds& file, std::uint64_t place) {
  const std::uint64_t target = place + Little(file.head, place, 4);
  return target > place && target % 4 == 0;
}

// Whether one leads to a vector of offsets that has elements, as far as the head shows it.
bool LeadsToElements(const FileEnds& file, std::uint64_t place) {
  const std::uint64_t target = place + Little(file.head, place, 4);
  if (target > file.size - 4) return false;
  if (target + 4 > file.head.size()) return true;
  const std::uint64_t count = Little(file.head, target, 4);
  return count > 0 && count <= (file.size - target - 4) / 4;
}

bool IsNetField(const FileEnds& file, std::uint64_t root, std::uint32_t field,
                std::uint32_t offset) {
  const std::uint64_t place = root + offset;
  if (field >= std::size(kNetFields)) return true;
  switch (kNetFields[field]) {
    case Kind::kByte:
      return file.head[static_cast<std::size_t>(place)] <= kMostByte;
    case Kind::kNumber:
      return offset % 4 == 0;
    case Kind::kOffset:
      if (offset % 4 != 0 || !Leads(file, place)) return false;
      return (field != net_field::kOperators && field != net_field::kTensorNames) ||
             LeadsToElements(file, place);
  }
  return false;
}

class MnnReader {
 public:
  MnnReader(ByteSource& source, WorkBudget& budget)
      : budget_(budget), net_(source, budget, 0, source.size()) {}

  model::Facts Read() &&;

 private:
  bool IsNet(const FlatTable& net);
  bool IsOperatorOf(const FlatTable& op, std::uint32_t tensors);
  void ReadOperators(const FlatVector& ops);
  void ReadOperator(const FlatTable& op);
  void ReadParameter(const FlatTable& op, std::uint8_t type, const FlatTable& parameter);
  void ReadBlob(const FlatTable& blob);
  void ReadConvolution(const FlatTable& convolution);
  // How many weights a convolution of this shape has; nothing where it does not say.
  std::optional<std::uint64_t> Weights(const FlatTable& convolution);
  void ReadInnerProduct(const FlatTable& product);
  void ReadFloats(const FloatArrays& arrays, const FlatTable& parameter);
  void AddFloats(std::uint64_t count);
  std::uint64_t External(const FlatVector& external, std::uint32_t index);
  std::string_view PackedType(const FlatTable& packed);
  void AddRisk(RiskId id, std::string_view evidence);

  WorkBudget& budget_;
  FlatBuffer net_;
  RiskList risks_;
  TensorCount weights_;
};

void MnnReader::AddRisk(RiskId id, std::string_view evidence) {
  budget_.Take(work::kRisk);
  risks_.Add(id, evidence);
}

model::Facts MnnReader::Read() && {
  const auto net = net_.Root();
  if (!net.has_value() || !IsNet(*net)) return {};
  ReadOperators(net_.Vector(*net, net_field::kOperators, 4));
  const FlatVector subgraphs = net_.Vector(*net, net_field::kSubgraphs, 4);
  for (std::uint32_t i = 0; i < subgraphs.count && net_.going(); ++i) {
    const auto subgraph = net_.TableAt(subgraphs, i);
    if (subgraph.has_value()) ReadOperators(net_.Vector(*subgraph, kSubgraphNodes, 4));
  }
  // Builders lay it down first, which is last in the file: it shows whether all is there.
  if (net_.going()) net_.Text(*net, net_field::kBusiness, 0);
  model::Facts facts;
  facts.format = model::Format::kMnn;
  if (!net_.going()) weights_.Miss();
  weights_.Tell(facts);
  if (!net_.broken().empty()) AddRisk(RiskId::kMalformed, net_.broken());
  if (budget_.spent()) risks_.AddSpent(net_.offset());
  facts.risks = std::move(risks_).Take();
  return facts;
}

bool MnnReader::IsNet(const FlatTable& net) {
  const FlatVector ops = net_.Vector(net, net_field::kOperators, 4);
  const FlatVector names = net_.Vector(net, net_field::kTensorNames, 4);
  const std::uint32_t tensors = std::max(names.count, net_.U32(net, net_field::kTensorNumber));
  if (ops.count == 0 || names.count == 0) return false;
  const std::uint32_t probed = std::min(ops.count, kProbedOperators);
  for (std::uint32_t i = 0; i < probed; ++i) {
    const auto op = net_.TableAt(ops, ops.count - 1 - i);
    if (!op.has_value() || !IsOperatorOf(*op, tensors)) return false;
  }
  return true;
}

bool MnnReader::IsOperatorOf(const FlatTable& op, std::uint32_t tensors) {
  if (!IsOperator(net_.U32(op, op_field::kType))) return false;
  const std::uint8_t parameter_type = net_.U8(op, op_field::kParameterType);
  const bool has_parameter = net_.Has(op, op_field::kParameter);
  if (parameter_type > op_parameter::kMost || (has_parameter && parameter_type == 0)) return false;
  if (net_.U8(op, op_field::kDataFormat) > kMostByte) return false;
  if (!IsName(net_.Text(op, op_field::kName, kMaxNameBytes))) return false;
  const FlatVector outputs = net_.Vector(op, op_field::kOutputs, 4);
  if (outputs.count > tensors) return false;
  for (std::uint32_t i = 0; i < std::min(outputs.count, kProbedOperators); ++i) {
    if (net_.U32At(outputs, i) >= tensors) return false;
  }
  return net_.going();
}

void MnnReader::ReadOperators(const FlatVector& ops) {
  for (std::uint32_t i = 0; i < ops.count && net_.going(); ++i) {
    budget_.Take(work::kTensor);
    if (const auto op = net_.TableAt(ops, i)) ReadOperator(*op);
  }
}

void MnnReader::ReadOperator(const FlatTable& op) {
  const std::string path = net_.Text(op, op_field::kExternalPath, base::limits::kMaxPathBytes);
  if (LeavesFolder(path)) AddRisk(RiskId::kExternalDataEscapes, path);
  const std::uint8_t type = net_.U8(op, op_field::kParameterType);
  const auto parameter = net_.Table(op, op_field::kParameter);
  if (parameter.has_value()) ReadParameter(op, type, *parameter);
}

void MnnReader::ReadParameter(const FlatTable& op, std::uint8_t type, const FlatTable& parameter) {
  switch (type) {
    case op_parameter::kBlob:
      return ReadBlob(parameter);
    case op_parameter::kConvolution:
      return ReadConvolution(parameter);
    case op_parameter::kInnerProduct:
      return ReadInnerProduct(parameter);
    case op_parameter::kLstm:
    case op_parameter::kRnn:
      return weights_.Miss();
    case op_parameter::kFusedLinear: {
      const FlatVector parts = net_.Vector(parameter, kFusedConvolutions, 4);
      for (std::uint32_t i = 0; i < parts.count && net_.going(); ++i) {
        if (const auto part = net_.TableAt(parts, i)) ReadConvolution(*part);
      }
      return;
    }
    case op_parameter::kPlugin: {
      if (net_.U32(op, op_field::kType) != kPluginOperator) return;
      const std::string name = net_.Text(parameter, kPluginType, kMaxNameBytes);
      if (net_.going()) AddRisk(RiskId::kCustomOperators, name);
      return;
    }
    default:
      for (const FloatArrays& arrays : kFloatArrays) {
        if (arrays.parameter == type) ReadFloats(arrays, parameter);
      }
  }
}

void MnnReader::AddFloats(std::uint64_t count) {
  if (count > 0) weights_.Add("F32", count);
}

std::uint64_t MnnReader::External(const FlatVector& external, std::uint32_t index) {
  return index < external.count ? net_.U64At(external, index) : 0;
}

void MnnReader::ReadBlob(const FlatTable& blob) {
  const std::uint32_t number = net_.U32(blob, blob_field::kType, 1);
  const std::string_view type = number < std::size(kTypes) ? kTypes[number] : "";
  const FlatVector shape = net_.Vector(blob, blob_field::kDims, 4);
  if (shape.count > kMaxDimensions) return weights_.AddUncounted();
  std::vector<std::uint64_t> dims;
  for (std::uint32_t i = 0; i < shape.count; ++i) {
    const std::uint32_t extent = net_.U32At(shape, i);
    if (extent > INT32_MAX) return weights_.AddUncounted();
    dims.push_back(extent);
  }
  weights_.Add(type, dims);
}

std::optional<std::uint64_t> MnnReader::Weights(const FlatTable& convolution) {
  namespace f = common_field;
  const auto common = net_.Table(convolution, convolution_field::kCommon);
  if (!common.has_value()) return std::nullopt;
  const std::uint64_t inputs = net_.U32(*common, f::kInputs);
  const std::uint64_t group = net_.U32(*common, f::kGroup, 1);
  std::uint64_t weights = net_.U32(*common, f::kOutputs);
  const std::uint64_t kernel =
      std::uint64_t{net_.U32(*common, f::kKernelX, 1)} * net_.U32(*common, f::kKernelY, 1);
  if (inputs == 0 || group == 0 || weights == 0 || inputs % group != 0 ||
      __builtin_mul_overflow(weights, inputs / group, &weights) ||
      __builtin_mul_overflow(weights, kernel, &weights)) {
    return std::nullopt;
  }
  return weights;
}

// IDSTQuan: 1 and 2 are integers of some bits, 3 halves, 4 bytes.
std::string_view MnnReader::PackedType(const FlatTable& packed) {
  constexpr std::uint32_t kDense = 1, kSparse = 2, kHalf = 3, kBytes = 4, kFourBits = 4;
  switch (net_.U32(packed, packed_field::kType)) {
    case kDense:
    case kSparse:
      return net_.U32(packed, packed_field::kBits) == kFourBits ? "I4" : "I8";
    case kHalf:
      return "F16";
    case kBytes:
      return "I8";
    default:
      return {};
  }
}

void MnnReader::ReadConvolution(const FlatTable& convolution) {
  namespace f = convolution_field;
  const FlatVector external = net_.Vector(convolution, f::kExternal, 8);
  const std::uint64_t elsewhere = External(external, kExternalWeight);
  const std::uint64_t floats = net_.Vector(convolution, f::kWeight, 4).count;
  const auto packed = net_.Table(convolution, f::kPacked);
  const auto symmetric = net_.Table(convolution, f::kSymmetric);
  const bool has_packed =
      packed.has_value() &&
      (elsewhere > 0 || net_.Vector(*packed, packed_field::kBuffer, 1).count > 0);
  const std::uint64_t bytes =
      symmetric.has_value() ? net_.Vector(*symmetric, kSymmetricWeight, 1).count : 0;
  if (has_packed) {
    const auto count = Weights(convolution);
    if (count.has_value()) weights_.Add(PackedType(*packed), *count);
    if (!count.has_value()) weights_.AddUncounted();
  } else if (bytes > 0) {
    weights_.Add("I8", bytes);
  } else {
    AddFloats(floats > 0 ? floats : elsewhere / kFloatBytes);
  }
  const std::uint64_t bias = net_.Vector(convolution, f::kBias, 4).count;
  AddFloats(bias > 0 ? bias : External(external, kExternalBias) / kFloatBytes);
}

void MnnReader::ReadInnerProduct(const FlatTable& product) {
  namespace f = product_field;
  const auto packed = net_.Table(product, f::kPacked);
  if (packed.has_value() && net_.Vector(*packed, packed_field::kBuffer, 1).count > 0) {
    weights_.Add(PackedType(*packed), net_.U32(product, f::kWeightSize));
  } else {
    AddFloats(net_.Vector(product, f::kWeight, 4).count);
  }
  AddFloats(net_.Vector(product, f::kBias, 4).count);
}

void MnnReader::ReadFloats(const FloatArrays& arrays, const FlatTable& parameter) {
  const FlatVector external =
      arrays.external == 0 ? FlatVector{} : net_.Vector(parameter, arrays.external, 8);
  for (std::uint32_t field = arrays.first; field <= arrays.last; ++field) {
    const std::uint64_t count = net_.Vector(parameter, field, 4).count;
    AddFloats(count > 0 ? count
                        : External(external, field - arrays.first + kExternalWeight) / kFloatBytes);
  }
}

}  // namespace

bool LooksLikeMnn(const FileEnds& whole) {
  const FileEnds file{whole.head.first(std::min(whole.head.size(), kHeadBytes)), {}, whole.size};
  const base::ByteView head = file.head;
  if (head.size() < kMostRoot) return false;
  // Builders lay a vtable down right before its table, and the root in front of all the rest.
  const std::uint64_t root = Little(head, 0, 4);
  if (root % 4 != 0 || root < kLeastRoot || root > kMostRoot) return false;
  if (root + kMostTableBytes > head.size()) return false;
  const std::uint64_t distance = Little(head, root, 4);
  if (distance < kVtableHeadBytes + 2 * kLeastFields || distance > root - 4) return false;
  const std::uint64_t vtable = root - distance;
  const std::uint32_t table_bytes = Little(head, vtable + 2, 2);
  if (Little(head, vtable, 2) != distance || distance % 2 != 0) return false;
  if (table_bytes < 4 || table_bytes > kMostTableBytes) return false;
  const auto fields = static_cast<std::uint32_t>(distance - kVtableHeadBytes) / 2;
  if (fields > kMostFields) return false;
  const auto nothing = [](std::uint8_t byte) { return byte == 0; };
  if (!std::all_of(head.begin() + 4, head.begin() + static_cast<std::ptrdiff_t>(vtable), nothing)) {
    return false;
  }
  bool has_operators = false;
  bool has_names = false;
  for (std::uint32_t field = 0; field < fields; ++field) {
    const std::uint32_t offset = Little(head, vtable + kVtableHeadBytes + 2 * field, 2);
    if (offset == 0) continue;
    const bool byte = field < std::size(kNetFields) && kNetFields[field] == Kind::kByte;
    if (offset < 4 || offset + (byte ? 1U : 4U) > table_bytes) return false;
    if (!IsNetField(file, root, field, offset)) return false;
    has_operators = has_operators || field == net_field::kOperators;
    has_names = has_names || field == net_field::kTensorNames;
  }
  return has_operators && has_names;
}

model::Facts ParseMnn(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return MnnReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
