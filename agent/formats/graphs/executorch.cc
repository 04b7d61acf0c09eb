#include "agent/formats/graphs/executorch.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/grammars/flat_buffer.h"
#include "agent/formats/graphs/tensor_count.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

using base::limits::kMaxTensors;

// Fields of program.fbs.
namespace program_field {
constexpr std::uint32_t kPlans = 1, kConstantBuffer = 2, kDelegateData = 3, kSegments = 4,
                        kConstantSegment = 5;
}
namespace plan_field {
constexpr std::uint32_t kValues = 2, kOperators = 6, kDelegates = 7;
}
namespace value_field {
constexpr std::uint32_t kType = 0, kValue = 1;
}
namespace tensor_field {
constexpr std::uint32_t kType = 0, kSizes = 2, kData = 5, kAllocation = 6, kExtra = 9;
}
namespace segment_field {
constexpr std::uint32_t kOffset = 0, kSize = 1;
}
constexpr std::uint32_t kOperatorName = 0;
constexpr std::uint32_t kInlineData = 0;
constexpr std::uint32_t kSubsegmentOffsets = 1;
constexpr std::uint32_t kExtraLocation = 2;
constexpr std::uint8_t kExternal = 1;
constexpr std::uint8_t kTensorValue = 5;

constexpr std::string_view kIdentifier = "ET12";
constexpr std::size_t kIdentifierAt = 4;
// The extended header: magic, its length, the program's length, where segments begin, and since
// 2025 how long they are.
constexpr std::string_view kHeaderMagic = "eh00";
constexpr std::size_t kHeaderAt = 8;
constexpr std::uint32_t kHeaderBytes = 24;
constexpr std::uint32_t kLongHeaderBytes = 32;

// What may stand behind the last segment where the header does not say how long they are.
constexpr std::uint64_t kMaxPaddingBytes = 64 * base::limits::kKiB;

constexpr std::uint32_t kMaxDimensions = 64;
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::uint32_t kMaxSegments = 1U << 20;

// Of operators that ExecuTorch and the libraries of its kernels bring along (TORCH_LIBRARY and the
// functions*.yaml of pytorch/executorch, torchao).
constexpr std::string_view kNamespaces[] = {"aten",
                                            "cadence",
                                            "channels_last",
                                            "cortex_m",
                                            "dim_order_ops",
                                            "et_copy",
                                            "et_vk",
                                            "executorch",
                                            "executorch_cuda",
                                            "executorch_prim",
                                            "llama",
                                            "mlx",
                                            "preprocess",
                                            "tosa",
                                            "tosa_mxfp",
                                            "prim",
                                            "prims",
                                            "quantized_decomposed",
                                            "torchao",
                                            "qnn_custom"};

struct ScalarType {
  std::uint8_t number;
  std::string_view name;
};
constexpr ScalarType kTypes[] = {
    {0, "U8"},    {1, "I8"},       {2, "I16"},      {3, "I32"},          {4, "I64"},
    {5, "F16"},   {6, "F32"},      {7, "F64"},      {8, "C32"},          {9, "C64"},
    {10, "C128"}, {11, "BOOL"},    {12, "I8"},      {13, "U8"},          {14, "I32"},
    {15, "BF16"}, {23, "F8_E5M2"}, {24, "F8_E4M3"}, {25, "F8_E5M2FNUZ"}, {26, "F8_E4M3FNUZ"},
    {27, "U16"},  {28, "U32"},     {29, "U64"}};

std::string_view TypeName(std::uint8_t number) {
  for (const ScalarType& type : kTypes) {
    if (type.number == number) return type.name;
  }
  return {};
}

bool IsKnownOperator(std::string_view name) {
  const std::size_t colons = name.find("::");
  return colons == std::string_view::npos ||
         std::find(std::begin(kNamespaces), std::end(kNamespaces), name.substr(0, colons)) !=
             std::end(kNamespaces);
}

// ELF, and Mach-O in its kinds. Some backends keep a compiled library as their part of a program.
bool IsNativeCode(std::string_view start) {
  constexpr std::string_view kMagics[] = {"\177ELF",          "\xfe\xed\xfa\xce",
                                          "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe",
                                          "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"};
  return std::find(std::begin(kMagics), std::end(kMagics), start) != std::end(kMagics);
}
constexpr std::size_t kMagicBytes = 4;

// What the extended header says, or what holds without one.
struct Layout {
  std::uint64_t program_end = 0;
  std::uint64_t segments_begin = 0;
  std::uint64_t segments_bytes = 0;
};

class ExecutorchReader {
 public:
  ExecutorchReader(ByteSource& source, WorkBudget& budget)
      : source_(source), budget_(budget), cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  void ReadIdentifier();
  void ReadHeader();
  void ReadProgram(FlatBuffer& program, const FlatTable& root);
  void ReadSegments(FlatBuffer& program, const FlatVector& segments);
  void CheckEnd(std::uint64_t segments_end);
  void ReadDelegateData(FlatBuffer& program, const FlatVector& blobs);
  void ReadPlan(FlatBuffer& program, const FlatTable& plan);
  void ReadTensor(FlatBuffer& program, const FlatTable& tensor);
  void Count(FlatBuffer& program, const FlatTable& tensor);
  void LookForCode(std::uint64_t at, std::uint64_t bytes);
  void AddRisk(RiskId id, std::string_view evidence);
  void Break(std::string_view what);
  bool going(const FlatBuffer& program) const { return sound_ && program.going(); }

  ByteSource& source_;
  WorkBudget& budget_;
  Cursor cursor_;
  model::Facts facts_;
  RiskList risks_;
  Layout layout_;
  TensorCount constants_;
  // By number: whether it was counted. Plans share their constants.
  std::vector<bool> counted_;
  bool delegated_ = false;
  bool sound_ = true;
};

void ExecutorchReader::AddRisk(RiskId id, std::string_view evidence) {
  budget_.Take(work::kRisk);
  risks_.Add(id, evidence);
}

void ExecutorchReader::Break(std::string_view what) {
  sound_ = false;
  if (!budget_.spent()) AddRisk(RiskId::kMalformed, what);
}

model::Facts ExecutorchReader::Read() && {
  facts_.format = model::Format::kExecutorch;
  ReadIdentifier();
  ReadHeader();
  FlatBuffer program(source_, budget_, 0, layout_.program_end);
  const auto root = sound_ ? program.Root() : std::optional<FlatTable>();
  if (root.has_value()) ReadProgram(program, *root);
  if (!going(program)) constants_.Miss();
  if (root.has_value() && !delegated_) constants_.Tell(facts_);
  if (!program.broken().empty()) AddRisk(RiskId::kMalformed, program.broken());
  if (budget_.spent()) risks_.AddSpent(program.offset());
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

void ExecutorchReader::ReadIdentifier() {
  cursor_.Seek(kIdentifierAt);
  const auto identifier = cursor_.Text(kIdentifier.size(), kIdentifier.size());
  if (!identifier.has_value()) return Break(ReadFailureText(cursor_.failure()));
  if (*identifier != kIdentifier) AddRisk(RiskId::kUnsupportedVersion, *identifier);
}

void ExecutorchReader::ReadHeader() {
  const std::uint64_t size = cursor_.end();
  layout_.program_end = size;
  cursor_.Seek(kHeaderAt);
  if (cursor_.Text(kHeaderMagic.size(), kHeaderMagic.size()) != kHeaderMagic) return;
  const auto length = cursor_.U32();
  const auto program = cursor_.U64();
  const auto begin = cursor_.U64();
  if (!length.has_value() || !program.has_value() || !begin.has_value()) {
    return Break(ReadFailureText(cursor_.failure()));
  }
  if (*length < kHeaderBytes) {
    return Break("an extended header of " + std::to_string(*length) + " bytes");
  }
  const auto bytes = *length < kLongHeaderBytes ? std::optional<std::uint64_t>(0) : cursor_.U64();
  if (!bytes.has_value()) return Break(ReadFailureText(cursor_.failure()));
  if (*program > size) {
    return Break("a program of " + std::to_string(*program) + " bytes in a file of " +
                 std::to_string(size));
  }
  layout_.program_end = *program;
  if (*begin != 0 && (*begin < *program || *begin > size || *bytes > size - *begin)) {
    return Break("segments of " + std::to_string(*bytes) + " bytes at " + AtOffset(*begin) +
                 " in a file of " + std::to_string(size) + " bytes");
  }
  layout_.segments_begin = *begin;
  layout_.segments_bytes = *bytes;
}

void ExecutorchReader::ReadProgram(FlatBuffer& program, const FlatTable& root) {
  namespace f = program_field;
  ReadSegments(program, program.Vector(root, f::kSegments, 4));
  ReadDelegateData(program, program.Vector(root, f::kDelegateData, 4));
  // Older programs keep their constants in the FlatBuffer. Number 0 is no constant.
  std::uint32_t constants = program.Vector(root, f::kConstantBuffer, 4).count;
  if (const auto segment = program.Table(root, f::kConstantSegment)) {
    constants = std::max(constants, program.Vector(*segment, kSubsegmentOffsets, 8).count);
  }
  if (constants > kMaxTensors) {
    return Break("a count of " + std::to_string(constants) + " constants");
  }
  counted_.resize(constants);
  const FlatVector plans = program.Vector(root, f::kPlans, 4);
  for (std::uint32_t i = 0; i < plans.count && going(program); ++i) {
    if (const auto plan = program.TableAt(plans, i)) ReadPlan(program, *plan);
  }
}

void ExecutorchReader::ReadSegments(FlatBuffer& program, const FlatVector& segments) {
  if (segments.count > kMaxSegments) {
    return Break("a count of " + std::to_string(segments.count) + " segments");
  }
  std::uint64_t reached = 0;
  const std::uint64_t room = cursor_.end() - layout_.segments_begin;
  for (std::uint32_t i = 0; i < segments.count && going(program); ++i) {
    const auto segment = program.TableAt(segments, i);
    if (!segment.has_value()) return;
    const std::uint64_t offset = program.U64(*segment, segment_field::kOffset);
    const std::uint64_t bytes = program.U64(*segment, segment_field::kSize);
    if (offset > room || bytes > room - offset) {
      return Break("segment " + std::to_string(i) + " of " + std::to_string(bytes) +
                   " bytes leads out of the file");
    }
    reached = std::max(reached, offset + bytes);
    if (layout_.segments_begin != 0) LookForCode(layout_.segments_begin + offset, bytes);
  }
  if (layout_.segments_begin != 0 && going(program)) CheckEnd(reached);
}

void ExecutorchReader::CheckEnd(std::uint64_t segments_end) {
  const std::uint64_t end = layout_.segments_begin + std::max(segments_end, layout_.segments_bytes);
  const std::uint64_t padding = layout_.segments_bytes == 0 ? kMaxPaddingBytes : 0;
  if (cursor_.end() <= end + padding) return;
  AddRisk(RiskId::kTrailingData,
          std::to_string(cursor_.end() - end) + " bytes from " + AtOffset(end));
}

void ExecutorchReader::ReadDelegateData(FlatBuffer& program, const FlatVector& blobs) {
  for (std::uint32_t i = 0; i < blobs.count && going(program); ++i) {
    const auto blob = program.TableAt(blobs, i);
    if (!blob.has_value()) return;
    const FlatVector data = program.Vector(*blob, kInlineData, 1);
    LookForCode(data.begin, data.count);
  }
}

void ExecutorchReader::LookForCode(std::uint64_t at, std::uint64_t bytes) {
  if (bytes < kMagicBytes || !cursor_.Seek(at)) return;
  const auto start = cursor_.Text(kMagicBytes, kMagicBytes);
  if (start.has_value() && IsNativeCode(*start)) {
    AddRisk(RiskId::kNativeCodeInside, "a backend's data at " + AtOffset(at));
  }
}

void ExecutorchReader::ReadPlan(FlatBuffer& program, const FlatTable& plan) {
  const FlatVector operators = program.Vector(plan, plan_field::kOperators, 4);
  for (std::uint32_t i = 0; i < operators.count && going(program); ++i) {
    const auto called = program.TableAt(operators, i);
    if (!called.has_value()) return;
    const std::string name = program.Text(*called, kOperatorName, kMaxNameBytes);
    if (!IsKnownOperator(name)) AddRisk(RiskId::kCustomOperators, name);
  }
  delegated_ = delegated_ || program.Vector(plan, plan_field::kDelegates, 4).count > 0;
  const FlatVector values = program.Vector(plan, plan_field::kValues, 4);
  for (std::uint32_t i = 0; i < values.count && going(program); ++i) {
    const auto value = program.TableAt(values, i);
    if (!value.has_value()) return;
    if (program.U8(*value, value_field::kType) != kTensorValue) continue;
    if (const auto tensor = program.Table(*value, value_field::kValue)) {
      ReadTensor(program, *tensor);
    }
  }
}

void ExecutorchReader::ReadTensor(FlatBuffer& program, const FlatTable& tensor) {
  namespace f = tensor_field;
  budget_.Take(work::kTensor);
  const auto extra = program.Table(tensor, f::kExtra);
  if (extra.has_value() && program.U8(*extra, kExtraLocation) == kExternal) {
    return Count(program, tensor);
  }
  const std::uint32_t number = program.U32(tensor, f::kData);
  if (number == 0 || !going(program)) return;
  // With an allocation it is a variable that begins with a value; those have numbers of their own.
  if (program.Has(tensor, f::kAllocation)) return Count(program, tensor);
  if (number >= counted_.size()) {
    return Break("constant " + std::to_string(number) + " of " + std::to_string(counted_.size()));
  }
  if (counted_[number]) return;
  counted_[number] = true;
  Count(program, tensor);
}

void ExecutorchReader::Count(FlatBuffer& program, const FlatTable& tensor) {
  const FlatVector sizes = program.Vector(tensor, tensor_field::kSizes, 4);
  if (sizes.count > kMaxDimensions) return constants_.AddUncounted();
  std::vector<std::uint64_t> dims;
  for (std::uint32_t i = 0; i < sizes.count; ++i) {
    const std::uint32_t extent = program.U32At(sizes, i);
    if (extent > INT32_MAX) return constants_.AddUncounted();
    dims.push_back(extent);
  }
  constants_.Add(TypeName(program.U8(tensor, tensor_field::kType)), dims);
}

}  // namespace

bool LooksLikeExecutorch(const FileEnds& file) {
  if (BeginsFlatBuffer(file, kIdentifier)) return true;
  const std::string_view head = base::AsText(file.head);
  if (head.size() < kHeaderAt + kHeaderMagic.size()) return false;
  // Two letters, then what counts the versions.
  const std::string_view identifier = head.substr(kIdentifierAt, kIdentifier.size());
  return identifier.substr(0, 2) == kIdentifier.substr(0, 2) &&
         head.substr(kHeaderAt, kHeaderMagic.size()) == kHeaderMagic &&
         BeginsFlatBuffer(file, identifier);
}

model::Facts ParseExecutorch(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return ExecutorchReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
