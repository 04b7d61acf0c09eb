#include "agent/formats/graphs/paddle.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/protobuf_probe.h"
#include "agent/formats/grammars/protobuf_wire.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/tensors/element_type.h"

namespace weighmaster::agent::formats {
namespace {

// Field numbers of framework.proto.
namespace program_field {
constexpr std::uint32_t kBlock = 1, kOldCompatible = 3, kVersion = 4, kOperatorVersions = 5;
}
namespace block_field {
constexpr std::uint32_t kIndex = 1, kParent = 2, kVariable = 3, kOperator = 4;
}
namespace variable_field {
constexpr std::uint32_t kName = 1, kType = 2, kPersistable = 3;
}
namespace operator_field {
constexpr std::uint32_t kInput = 1, kOutput = 2, kType = 3, kAttribute = 4;
}
namespace attribute_field {
constexpr std::uint32_t kName = 1, kText = 5;
}
namespace tensor_field {
constexpr std::uint32_t kType = 1, kExtent = 2;
}
constexpr std::uint32_t kVarType = 1, kDenseTensor = 3, kTensorOfDense = 1;

constexpr std::uint64_t kDenseTensorType = 7;
constexpr std::size_t kMaxNameBytes = 256;
// DDim's own limit is 9; old programs had none.
constexpr std::size_t kMaxDimensions = 64;
constexpr std::uint64_t kMaxDescBytes = 1'024;  // of kMaxDimensions numbers and a type
// A tensor of a sequence has few levels, a weight none.
constexpr std::uint64_t kMaxLevels = 64;
constexpr std::size_t kTensorHeadBytes = 20;  // up to the description

struct TypeName {
  std::uint64_t number;
  std::string_view name;
};
// VarType.Type, of those that elements can have.
constexpr TypeName kTypes[] = {
    {0, "BOOL"},  {1, "I16"},      {2, "I32"},      {3, "I64"},  {4, "F16"},   {5, "F32"},
    {6, "F64"},   {19, "U64"},     {20, "U8"},      {21, "I8"},  {22, "BF16"}, {23, "C64"},
    {24, "C128"}, {32, "F8_E4M3"}, {33, "F8_E5M2"}, {37, "U32"}, {38, "U64"},
};

const ElementType* FindType(std::uint64_t number) {
  for (const TypeName& type : kTypes) {
    if (type.number == number) return FindElementType(type.name);
  }
  return nullptr;
}

// A TensorDesc, as far as it is read.
struct TensorDesc {
  std::uint64_t type = 0;
  std::uint64_t elements = 1;
  std::size_t dimensions = 0;
  bool counted = true;  // no extent is negative, which one that is not known yet is
};

std::uint32_t ReadLittle32(base::ByteView bytes) {
  return bytes[0] | (std::uint32_t{bytes[1]} << 8) | (std::uint32_t{bytes[2]} << 16) |
         (std::uint32_t{bytes[3]} << 24);
}

bool LooksLikeTensor(const FileEnds& file) {
  const base::ByteView head = file.head;
  if (head.size() < kTensorHeadBytes + 2) return false;
  // The version, the number of levels, and the version of what follows.
  const base::ByteView zeros = head.first(kTensorHeadBytes - 4);
  if (std::any_of(zeros.begin(), zeros.end(), [](std::uint8_t byte) { return byte != 0; })) {
    return false;
  }
  const std::uint32_t size = ReadLittle32(head.subspan(kTensorHeadBytes - 4));
  const base::ByteView desc = head.subspan(kTensorHeadBytes);
  if (size < 2 || size > kMaxDescBytes || size > desc.size()) return false;
  ProtobufProbe probe(FileEnds{desc.first(size), {}, size});
  const auto first = probe.Next();
  if (!first.has_value() || first->number != tensor_field::kType ||
      first->type != WireType::kVarint || FindType(first->value) == nullptr) {
    return false;
  }
  while (const auto field = probe.Next()) {
    if (field->number != tensor_field::kExtent || !field->fits) return false;
    if (field->type != WireType::kVarint && field->type != WireType::kBytes) return false;
  }
  return probe.end() == ProtobufProbe::End::kWhole;
}

// The first field of a message with what a variable or an operator begins with.
bool BeginsWithName(const ProbedField& message) {
  ProtobufProbe probe(message);
  const auto first = probe.Next();
  return first.has_value() && first->number == variable_field::kName && first->length > 0 &&
         first->fits && LooksLikeText(*first);
}

bool LooksLikeOperator(const ProbedField& field) {
  ProtobufProbe probe(field);
  const auto first = probe.Next();
  if (!first.has_value() || !first->fits) return false;
  // Its inputs and outputs are named, and come before its type.
  if (first->number == operator_field::kType) return LooksLikeText(*first) && first->length > 0;
  return (first->number == operator_field::kInput || first->number == operator_field::kOutput) &&
         first->type == WireType::kBytes && BeginsWithName(*first);
}

bool LooksLikeProgram(const FileEnds& file) {
  ProtobufProbe program(file);
  const auto block = program.Next();
  if (!block.has_value() || block->number != program_field::kBlock ||
      block->type != WireType::kBytes) {
    return false;
  }
  ProtobufProbe fields(*block);
  const auto index = fields.Next();
  const auto parent = fields.Next();
  const auto first = fields.Next();
  if (!first.has_value() || index->number != block_field::kIndex ||
      index->type != WireType::kVarint || index->value != 0 ||
      parent->number != block_field::kParent || parent->type != WireType::kVarint) {
    return false;
  }
  if (first->type != WireType::kBytes || !first->fits) return false;
  if (first->number == block_field::kVariable) return BeginsWithName(*first);
  return first->number == block_field::kOperator && LooksLikeOperator(*first);
}

// One reading of one file.
class PaddleReader {
 public:
  PaddleReader(ByteSource& source, WorkBudget& budget) : cursor_(source, budget) {}

  model::Facts ReadParameters() &&;
  model::Facts ReadProgram() &&;

 private:
  bool ReadTensor();
  bool SkipLevels();
  void ReadBlock(const WireField& block);
  void ReadVariable(const WireField& variable);
  void ReadOperator(const WireField& field);
  void ReadFilePath(const WireField& attribute);
  TensorDesc ReadDesc(std::uint64_t begin, std::uint64_t end);
  void AddExtent(std::uint64_t extent, TensorDesc& desc);

  void Count(const TensorDesc& desc);
  bool Broken(std::string_view what, std::uint64_t offset);
  model::Facts Tell();
  std::string Text(const WireField& field, std::size_t keep);
  WireMessage Fields(const WireField& field);
  void CheckEnd(const WireMessage& message);

  Cursor cursor_;
  RiskList risks_;
  bool counted_ = true;
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

bool PaddleReader::Broken(std::string_view what, std::uint64_t offset) {
  counted_ = false;
  if (cursor_.budget().spent()) return false;
  cursor_.budget().Take(work::kRisk);
  risks_.Add(RiskId::kMalformed, std::string(what) + " at " + AtOffset(offset));
  return false;
}

model::Facts PaddleReader::Tell() {
  model::Facts facts;
  facts.format = model::Format::kPaddle;
  const bool spent = cursor_.budget().spent();
  if (spent) risks_.AddSpent(cursor_.offset());
  facts.tensor_count = tensors_;
  if (counted_ && !spent) facts.parameters = parameters_;
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts.quantization = std::string(type);
  }
  facts.risks = std::move(risks_).Take();
  return facts;
}

model::Facts PaddleReader::ReadParameters() && {
  while (cursor_.remaining() > 0) {
    if (tensors_ == base::limits::kMaxTensors) {
      Broken("too many tensors", cursor_.offset());
      break;
    }
    if (!ReadTensor()) break;
  }
  return Tell();
}

bool PaddleReader::SkipLevels() {
  const std::uint64_t begin = cursor_.offset();
  const auto levels = cursor_.U64();
  if (!levels.has_value()) return Broken(ReadFailureText(cursor_.failure()), begin);
  if (*levels > kMaxLevels) {
    return Broken("a tensor of " + std::to_string(*levels) + " levels", begin);
  }
  for (std::uint64_t i = 0; i < *levels; ++i) {
    const auto bytes = cursor_.U64();
    if (!bytes.has_value() || !cursor_.Skip(*bytes)) {
      return Broken(ReadFailureText(cursor_.failure()), begin);
    }
  }
  return true;
}

bool PaddleReader::ReadTensor() {
  cursor_.budget().Take(work::kTensor);
  const std::uint64_t begin = cursor_.offset();
  const auto version = cursor_.U32();
  if (!version.has_value()) return Broken(ReadFailureText(cursor_.failure()), begin);
  if (*version != 0) return Broken("a tensor of version " + std::to_string(*version), begin);
  if (!SkipLevels()) return false;
  const auto inner_version = cursor_.U32();
  const auto size = cursor_.U32();
  if (!size.has_value()) return Broken(ReadFailureText(cursor_.failure()), begin);
  if (*inner_version != 0 || *size > kMaxDescBytes || *size > cursor_.remaining()) {
    return Broken("a description of " + std::to_string(*size) + " bytes", begin);
  }
  const std::uint64_t data = cursor_.offset() + *size;
  const TensorDesc desc = ReadDesc(cursor_.offset(), data);
  const ElementType* const type = FindType(desc.type);
  if (type == nullptr) {
    return Broken("elements of the unknown type " + std::to_string(desc.type), begin);
  }
  std::uint64_t bytes = 0;
  if (!desc.counted ||
      __builtin_mul_overflow(desc.elements, std::uint64_t{type->block_bytes}, &bytes)) {
    return Broken("a tensor of extents that can't be", begin);
  }
  Count(desc);
  if (!cursor_.Seek(data) || !cursor_.Skip(bytes)) {
    return Broken("a tensor of " + std::to_string(bytes) + " bytes past the end", begin);
  }
  return true;
}

model::Facts PaddleReader::ReadProgram() && {
  bool has_block = false;
  WireMessage message(cursor_, cursor_.end());
  while (const auto field = message.Next()) {
    const bool known =
        field->type == WireType::kBytes &&
        (field->number == program_field::kBlock || field->number == program_field::kOldCompatible ||
         field->number == program_field::kVersion ||
         field->number == program_field::kOperatorVersions);
    if (!known) return {};
    if (field->number != program_field::kBlock) continue;
    has_block = true;
    ReadBlock(*field);
  }
  if (!has_block && !message.broken()) return {};
  CheckEnd(message);
  return Tell();
}

void PaddleReader::ReadBlock(const WireField& block) {
  WireMessage message = Fields(block);
  while (const auto field = message.Next()) {
    if (field->number == block_field::kVariable) ReadVariable(*field);
    if (field->number == block_field::kOperator) ReadOperator(*field);
  }
  CheckEnd(message);
}

// Of the variables those are the model that stay when it has run, and are tensors: the feed and
// fetch lists stay as well.
void PaddleReader::ReadVariable(const WireField& variable) {
  bool persistable = false;
  std::optional<WireField> type;
  WireMessage message = Fields(variable);
  while (const auto field = message.Next()) {
    if (field->number == variable_field::kPersistable) persistable = field->value != 0;
    if (field->number == variable_field::kType) type = field;
  }
  CheckEnd(message);
  if (!persistable || !type.has_value()) return;
  bool dense = false;
  std::optional<WireField> tensor;
  WireMessage described = Fields(*type);
  while (const auto field = described.Next()) {
    if (field->number == kVarType) dense = field->value == kDenseTensorType;
    if (field->number == kDenseTensor) tensor = field;
  }
  CheckEnd(described);
  if (!dense || !tensor.has_value()) return;
  cursor_.budget().Take(work::kTensor);
  WireMessage fields = Fields(*tensor);
  while (const auto field = fields.Next()) {
    if (field->number != kTensorOfDense || field->type != WireType::kBytes) continue;
    Count(ReadDesc(field->begin, field->end));
  }
  CheckEnd(fields);
}

void PaddleReader::ReadOperator(const WireField& field) {
  std::string type;
  WireMessage message = Fields(field);
  while (const auto part = message.Next()) {
    if (part->number == operator_field::kType) type = Text(*part, kMaxNameBytes);
  }
  CheckEnd(message);
  if (type == "py_func") {
    // Calls a Python function that the program which runs the model has to know.
    cursor_.budget().Take(work::kRisk);
    risks_.Add(RiskId::kCustomOperators, "py_func at " + AtOffset(field.begin));
  }
  if (type != "load" && type != "load_combine" && type != "save" && type != "save_combine") return;
  WireMessage again = Fields(field);
  while (const auto part = again.Next()) {
    if (part->number == operator_field::kAttribute) ReadFilePath(*part);
  }
}

void PaddleReader::ReadFilePath(const WireField& attribute) {
  std::string name;
  std::string path;
  WireMessage message = Fields(attribute);
  while (const auto field = message.Next()) {
    if (field->number == attribute_field::kName) name = Text(*field, kMaxNameBytes);
    if (field->number == attribute_field::kText) path = Text(*field, base::limits::kMaxPathBytes);
  }
  CheckEnd(message);
  if (name != "file_path" || !LeavesFolder(path)) return;
  cursor_.budget().Take(work::kRisk);
  risks_.Add(RiskId::kExternalDataEscapes, path);
}

TensorDesc PaddleReader::ReadDesc(std::uint64_t begin, std::uint64_t end) {
  TensorDesc desc;
  cursor_.Seek(begin);
  WireMessage message(cursor_, end);
  while (const auto field = message.Next()) {
    if (field->number == tensor_field::kType) desc.type = field->value;
    if (field->number != tensor_field::kExtent) continue;
    if (field->type == WireType::kVarint) AddExtent(field->value, desc);
    if (field->type != WireType::kBytes || !cursor_.Seek(field->begin)) continue;
    while (cursor_.offset() < field->end) {  // packed
      const auto extent = ReadVarint(cursor_);
      if (!extent.has_value()) break;
      AddExtent(*extent, desc);
    }
  }
  CheckEnd(message);
  return desc;
}

void PaddleReader::AddExtent(std::uint64_t extent, TensorDesc& desc) {
  cursor_.budget().Take(work::kExtent);
  const bool negative = extent >> 63 != 0;
  if (negative || ++desc.dimensions > kMaxDimensions ||
      __builtin_mul_overflow(desc.elements, extent, &desc.elements)) {
    desc.counted = false;
  }
}

void PaddleReader::Count(const TensorDesc& desc) {
  ++tensors_;
  if (!desc.counted) {
    counted_ = false;
    return;
  }
  const ElementType* const type = FindType(desc.type);
  if (type != nullptr) elements_by_type_[type->name] += desc.elements;
  if (__builtin_add_overflow(parameters_, desc.elements, &parameters_)) counted_ = false;
}

std::string PaddleReader::Text(const WireField& field, std::size_t keep) {
  if (field.type != WireType::kBytes || !cursor_.Seek(field.begin)) return {};
  return cursor_.Text(field.end - field.begin, keep).value_or("");
}

WireMessage PaddleReader::Fields(const WireField& field) {
  // A field's place was checked when it was read.
  cursor_.Seek(field.begin);
  return WireMessage(cursor_, field.type == WireType::kBytes ? field.end : field.begin);
}

void PaddleReader::CheckEnd(const WireMessage& message) {
  if (message.broken()) Broken("a field that is broken", cursor_.offset());
}

}  // namespace

bool LooksLikePaddle(const FileEnds& file) {
  return LooksLikeTensor(file) || LooksLikeProgram(file);
}

model::Facts ParsePaddle(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  Cursor first(source, budget);
  // A tensor begins with its version, a program with the tag of its first block.
  const bool tensors = first.U8() == std::uint8_t{0};
  PaddleReader reader(source, budget);
  return tensors ? std::move(reader).ReadParameters() : std::move(reader).ReadProgram();
}

}  // namespace weighmaster::agent::formats
