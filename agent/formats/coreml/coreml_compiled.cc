#include "agent/formats/coreml/coreml_compiled.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

// A weight: `tensor<fp16, [4, 3]>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset
// = uint64(64)))`; older programs write `tensor<string, []>("…")` and `tensor<uint64, []>(64)`.
constexpr std::string_view kBlob = "BLOBFILE(";
constexpr std::string_view kCustomLayer = " custom_layer(";
constexpr std::string_view kTensor = "tensor<";
constexpr std::string_view kOffset = "offset = ";
constexpr std::string_view kModelPath = "@model_path/";
// How much is read before and behind a blob: its type, and its path and offset.
constexpr std::uint64_t kBeforeBlob = 256;
constexpr std::size_t kBehindBlob = 4096;

constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
    {"bool", "BOOL"},       {"fp16", "F16"},   {"fp32", "F32"},   {"fp64", "F64"},
    {"bf16", "BF16"},       {"int4", "I4"},    {"int8", "I8"},    {"int16", "I16"},
    {"int32", "I32"},       {"int64", "I64"},  {"uint1", "U1"},   {"uint2", "U2"},
    {"uint3", "U3"},        {"uint4", "U4"},   {"uint6", "U6"},   {"uint8", "U8"},
    {"uint16", "U16"},      {"uint32", "U32"}, {"uint64", "U64"}, {"fp8e4m3fn", "F8_E4M3"},
    {"fp8e5m2", "F8_E5M2"},
};

// Takes digits from the beginning of a text; nothing when there are none, or too many.
std::optional<std::uint64_t> TakeNumber(std::string_view& text) {
  std::uint64_t value = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (__builtin_mul_overflow(value, std::uint64_t{10}, &value) ||
        __builtin_add_overflow(value, static_cast<std::uint64_t>(text[digits] - '0'), &value)) {
      return std::nullopt;
    }
    ++digits;
  }
  text.remove_prefix(digits);
  return digits == 0 ? std::nullopt : std::optional(value);
}

bool TakeText(std::string_view& text, std::string_view beginning) {
  if (text.substr(0, beginning.size()) != beginning) return false;
  text.remove_prefix(beginning.size());
  return true;
}

struct BlobTensor {
  std::string_view type;
  std::optional<std::uint64_t> elements;
};

// `before` ends with `tensor<fp16, [4, 3]>(`.
BlobTensor TypeBefore(std::string_view before) {
  BlobTensor tensor;
  const std::size_t begin = before.rfind(kTensor);
  if (begin == std::string_view::npos) return tensor;
  std::string_view text = before.substr(begin + kTensor.size());
  const std::string_view name = text.substr(0, text.find(','));
  for (const auto& [written, type] : kTypes) {
    if (written == name) tensor.type = type;
  }
  text.remove_prefix(name.size());
  if (!TakeText(text, ", [")) return tensor;
  std::uint64_t elements = 1;
  while (!TakeText(text, "]>(")) {
    const auto extent = TakeNumber(text);
    if (!extent.has_value() || __builtin_mul_overflow(elements, *extent, &elements)) return tensor;
    TakeText(text, ", ");
  }
  if (text.empty()) tensor.elements = elements;
  return tensor;
}

// One reading of one file.
class MilReader {
 public:
  MilReader(ByteSource& source, WorkBudget& budget) : budget_(budget), cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  // In the chunk that begins at `begin`.
  void LookAt(std::string_view chunk, std::uint64_t begin);
  void ReadBlob(std::uint64_t begin);
  void AddRisk(RiskId id, std::string_view evidence);

  WorkBudget& budget_;
  Cursor cursor_;
  RiskList risks_;
  bool counted_ = true;
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
  // Which blobs were counted: several functions may share one. The path is hashed, which is safe in
  // a tree.
  std::set<std::pair<std::size_t, std::uint64_t>> blobs_;
};

model::Facts MilReader::Read() && {
  // Each chunk but the first begins with what could be the start of a word in the one before.
  constexpr std::size_t kOverlap = std::max(kBlob.size(), kCustomLayer.size()) - 1;
  char last = 0;
  while (cursor_.remaining() > 0) {
    budget_.Take(std::min<std::uint64_t>(cursor_.remaining(), Cursor::kPeekBytes) *
                 work::kProbedByte);
    const std::uint64_t begin = cursor_.offset();
    const std::string_view chunk = base::AsText(cursor_.Peek(Cursor::kPeekBytes));
    if (chunk.empty()) break;
    LookAt(chunk, begin);
    if (const std::size_t end = chunk.find_last_not_of(" \t\r\n"); end != std::string_view::npos) {
      last = chunk[end];
    }
    const bool more = chunk.size() < cursor_.remaining() && chunk.size() > kOverlap;
    cursor_.Skip(more ? chunk.size() - kOverlap : chunk.size());
  }
  const bool whole = cursor_.remaining() == 0 && !budget_.spent();
  if (budget_.spent()) {
    risks_.AddSpent(cursor_.offset());
  } else if (!whole) {
    AddRisk(RiskId::kMalformed, ReadFailureText(cursor_.failure()));
  } else if (last != '}') {
    AddRisk(RiskId::kMalformed, "an end before the program is closed");
  }
  model::Facts facts;
  facts.format = model::Format::kCoreMlCompiled;
  facts.architecture = "ml_program";
  if (tensors_ > 0) {
    facts.tensor_count = tensors_;
    if (whole && counted_) facts.parameters = parameters_;
  }
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts.quantization = std::string(type);
  }
  facts.risks = std::move(risks_).Take();
  return facts;
}

void MilReader::LookAt(std::string_view chunk, std::uint64_t begin) {
  for (std::size_t at = chunk.find(kBlob); at != std::string_view::npos;
       at = chunk.find(kBlob, at + 1)) {
    if (budget_.spent()) return;
    ReadBlob(begin + at);
  }
  for (std::size_t at = chunk.find(kCustomLayer); at != std::string_view::npos;
       at = chunk.find(kCustomLayer, at + 1)) {
    if (budget_.spent()) return;
    AddRisk(RiskId::kCustomOperators, "a custom layer at " + AtOffset(begin + at));
  }
}

void MilReader::ReadBlob(std::uint64_t begin) {
  budget_.Take(work::kTensor);
  const std::uint64_t from = begin - std::min(begin, kBeforeBlob);
  Cursor around(cursor_.source(), budget_, from, cursor_.end());
  const auto before = around.Text(begin - from, kBeforeBlob);
  if (!before.has_value()) return;
  std::string_view text = base::AsText(around.Peek(kBehindBlob));
  const std::size_t quote = text.find('"');
  const std::size_t end = quote == std::string_view::npos ? quote : text.find('"', quote + 1);
  if (end == std::string_view::npos) {
    return AddRisk(RiskId::kMalformed, "a blob without a path at " + AtOffset(begin));
  }
  const std::string_view file = text.substr(quote + 1, end - quote - 1);
  std::string_view path = file;
  TakeText(path, kModelPath);
  if (LeavesFolder(path)) AddRisk(RiskId::kExternalDataEscapes, file);
  text.remove_prefix(end);
  std::uint64_t offset = 0;
  if (const std::size_t at = text.find(kOffset); at != std::string_view::npos) {
    text.remove_prefix(at);
    text.remove_prefix(std::min(text.size(), text.find('(') + 1));
    offset = TakeNumber(text).value_or(0);
  }
  const std::pair key(std::hash<std::string_view>{}(file), offset);
  if (blobs_.size() >= base::limits::kMaxTensors || !blobs_.insert(key).second) return;
  const BlobTensor tensor = TypeBefore(*before);
  ++tensors_;
  if (!tensor.elements.has_value()) counted_ = false;
  const std::uint64_t elements = tensor.elements.value_or(0);
  if (!tensor.type.empty()) elements_by_type_[tensor.type] += elements;
  if (__builtin_add_overflow(parameters_, elements, &parameters_)) counted_ = false;
}

void MilReader::AddRisk(RiskId id, std::string_view evidence) {
  budget_.Take(work::kRisk);
  risks_.Add(id, evidence);
}

}  // namespace

bool LooksLikeCoreMlCompiled(const FileEnds& file) {
  std::string_view text = base::AsText(file.head);
  if (!TakeText(text, "program(") || !TakeNumber(text).has_value() || !TakeText(text, ".") ||
      !TakeNumber(text).has_value() || !TakeText(text, ")")) {
    return false;
  }
  const auto skip_blanks = [&] {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\r\n")));
  };
  skip_blanks();
  if (TakeText(text, "[buildInfo = dict<")) return true;
  if (!TakeText(text, "{")) return false;
  skip_blanks();
  return TakeText(text, "func ");
}

model::Facts ParseCoreMlCompiled(ByteSource& source, WorkBudget& budget,
                                 TensorMapWriter& /*tensors*/) {
  return MilReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
