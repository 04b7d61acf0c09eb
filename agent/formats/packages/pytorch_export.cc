#include "agent/formats/packages/pytorch_export.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/formats/grammars/json_reader.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kFormatRecord = "archive_format";
constexpr std::string_view kFormat = "pt2";
constexpr std::string_view kProgramBefore28 = "serialized_exported_program.json";
constexpr std::string_view kWeights = "data/weights/";
constexpr std::string_view kConfig = "_weights_config.json";
constexpr std::size_t kMaxDimensions = 64;

// ScalarType of torch/_export/serde/schema.py.
struct ScalarType {
  std::uint64_t number;
  std::string_view name;
};
constexpr ScalarType kScalarTypes[] = {
    {1, "U8"},       {2, "I8"},           {3, "I16"},         {4, "I32"},  {5, "I64"},
    {6, "F16"},      {7, "F32"},          {8, "F64"},         {9, "C32"},  {10, "C64"},
    {11, "C128"},    {12, "BOOL"},        {13, "BF16"},       {28, "U16"}, {29, "F8_E4M3"},
    {30, "F8_E5M2"}, {31, "F8_E4M3FNUZ"}, {32, "F8_E5M2FNUZ"}};

std::string_view NameOf(std::uint64_t scalar_type) {
  for (const ScalarType& type : kScalarTypes) {
    if (type.number == scalar_type) return type.name;
  }
  return {};
}

// A weight, as the configuration describes it.
struct Weight {
  std::string file;
  std::uint64_t scalar_type = 0;
  std::optional<std::vector<std::uint64_t>> sizes;
  std::optional<std::vector<std::uint64_t>> strides;
  std::optional<std::uint64_t> offset;  // in elements of its storage
};

// A number as {"as_int": 4}; a size that is not known before the program runs has another key.
std::optional<std::uint64_t> ReadNumber(JsonReader& json, JsonToken first) {
  std::optional<std::uint64_t> number;
  if (first != JsonToken::kObject) {
    SkipValue(json, first);
    return number;
  }
  while (json.Next() == JsonToken::kKey) {
    const bool is_number = json.text() == "as_int";
    const JsonToken value = json.Next();
    if (is_number && value == JsonToken::kUnsigned) number = json.number();
    SkipValue(json, value);
  }
  return number;
}

std::optional<std::vector<std::uint64_t>> ReadNumbers(JsonReader& json, WorkBudget& budget) {
  std::vector<std::uint64_t> numbers;
  bool known = true;
  while (true) {
    const JsonToken next = json.Next();
    if (next != JsonToken::kObject) {
      known = known && next == JsonToken::kEndArray;
      SkipValue(json, next);
      break;
    }
    budget.Take(work::kExtent);
    const auto number = ReadNumber(json, next);
    known = known && number.has_value() && numbers.size() < kMaxDimensions;
    if (known) numbers.push_back(*number);
  }
  if (!known) return std::nullopt;
  return numbers;
}

void ReadMeta(JsonReader& json, WorkBudget& budget, Weight& weight) {
  while (json.Next() == JsonToken::kKey) {
    const std::string key = json.text();
    const JsonToken value = json.Next();
    if (key == "dtype" && value == JsonToken::kUnsigned) {
      weight.scalar_type = json.number();
    } else if (key == "sizes" && value == JsonToken::kArray) {
      weight.sizes = ReadNumbers(json, budget);
    } else if (key == "strides" && value == JsonToken::kArray) {
      weight.strides = ReadNumbers(json, budget);
    } else if (key == "storage_offset") {
      weight.offset = ReadNumber(json, value);
    } else {
      SkipValue(json, value);
    }
  }
}

Weight ReadWeight(JsonReader& json, WorkBudget& budget) {
  Weight weight;
  while (json.Next() == JsonToken::kKey) {
    const std::string key = json.text();
    const JsonToken value = json.Next();
    if (key == "path_name" && value == JsonToken::kText) {
      weight.file = json.text();
    } else if (key == "tensor_meta" && value == JsonToken::kObject) {
      ReadMeta(json, budget, weight);
    } else {
      SkipValue(json, value);
    }
  }
  return weight;
}

// The weights of all programs of one archive.
class ExportedWeights {
 public:
  ExportedWeights(ZipPackage& package, std::string folder, TensorMapWriter& map)
      : package_(package), weights_(std::move(folder) + std::string(kWeights)), map_(map) {}

  // Whether there was a configuration.
  bool Read();
  void Tell(model::Facts& facts) const;

 private:
  void ReadConfig(const ZipMember& member);
  void Add(const Weight& weight);
  void Map(const Weight& weight);

  ZipPackage& package_;
  const std::string weights_;  // the folder, with its '/'
  TensorMapWriter& map_;
  PickleTensors tensors_;
};

bool ExportedWeights::Read() {
  bool found = false;
  for (const ZipMember& member : package_.members()) {
    if (!member.name.starts_with(weights_) || !member.name.ends_with(kConfig)) continue;
    found = true;
    ReadConfig(member);
  }
  return found;
}

void ExportedWeights::ReadConfig(const ZipMember& member) {
  const auto content = package_.Read(member, base::limits::kMaxInflatedBytes);
  if (!content.has_value()) return map_.Fail(model::WeightsReason::kPacked);
  MemorySource source(*content);
  Cursor cursor(source, package_.budget());
  JsonReader json(cursor);
  JsonToken token = json.Next();
  while (token == JsonToken::kObject && json.Next() == JsonToken::kKey) {
    const bool is_config = json.text() == "config";
    const JsonToken value = json.Next();
    if (!is_config || value != JsonToken::kObject) {
      SkipValue(json, value);
      continue;
    }
    while ((token = json.Next()) == JsonToken::kKey) {
      package_.budget().Take(work::kTensor);
      const JsonToken entry = json.Next();
      if (entry == JsonToken::kObject) {
        Add(ReadWeight(json, package_.budget()));
      } else {
        SkipValue(json, entry);
      }
    }
    token = JsonToken::kObject;
  }
  if (json.Next() == JsonToken::kEnd) return;
  package_.risks().Add(RiskId::kMalformed, package_.place() + member.name + ": broken JSON at " +
                                               AtOffset(json.offset()));
}

void ExportedWeights::Add(const Weight& weight) {
  ++tensors_.count;
  std::uint64_t elements = 1;
  bool known = weight.sizes.has_value();
  for (const std::uint64_t size : weight.sizes.value_or(std::vector<std::uint64_t>())) {
    known = known && !__builtin_mul_overflow(elements, size, &elements);
  }
  known = known && !__builtin_add_overflow(tensors_.parameters, elements, &tensors_.parameters);
  tensors_.parameters_known = tensors_.parameters_known && known;
  if (known) tensors_.elements_by_type[std::string(NameOf(weight.scalar_type))] += elements;
  if (map_.wanted()) Map(weight);
}

void ExportedWeights::Map(const Weight& weight) {
  const ZipMember* const member = package_.Find(weights_ + weight.file);
  if (member == nullptr || !weight.sizes.has_value() || !weight.strides.has_value() ||
      weight.sizes->size() != weight.strides->size()) {
    return map_.Fail(model::WeightsReason::kIncomplete);
  }
  // A tensor of a class of its own lies there as torch.save writes it.
  const auto head = package_.Read(*member, 4);
  const bool pickled = head.has_value() && base::AsText(*head) == "PK\x03\x04";
  if (member->encrypted || member->method != kZipStored || pickled) {
    return map_.Fail(model::WeightsReason::kPacked);
  }
  Tensor tensor;
  tensor.type = FindElementType(NameOf(weight.scalar_type));
  if (tensor.type == nullptr) return map_.Fail(model::WeightsReason::kUnknownType);
  tensor.dims = *weight.sizes;
  tensor.strides = *weight.strides;
  std::uint64_t skipped = 0;
  if (__builtin_mul_overflow(weight.offset.value_or(0), std::uint64_t{tensor.type->block_bytes},
                             &skipped)) {
    return map_.Fail(model::WeightsReason::kIncomplete);
  }
  const auto span = SpanOf(tensor);
  if (!span.has_value()) return map_.Fail(model::WeightsReason::kRepeats);
  if (skipped > member->stored_bytes || *span > member->stored_bytes - skipped) {
    return map_.Fail(model::WeightsReason::kIncomplete);
  }
  tensor.begin = member->data + skipped;
  map_.Add(tensor);
}

void ExportedWeights::Tell(model::Facts& facts) const { TellTensors(tensors_, facts); }

bool IsExported(ZipPackage& package) {
  if (package.FindInFolder(kProgramBefore28).member != nullptr) return true;
  const ZipMember* const format = package.FindInFolder(kFormatRecord).member;
  if (format == nullptr) return false;
  const auto content = package.Read(*format, kFormat.size());
  return content.has_value() && base::AsText(*content) == kFormat;
}

void TellExported(ZipPackage& package, model::Facts& facts, TensorMapWriter& map) {
  const std::string folder = package.FindInFolder(kFormatRecord).folder;
  const std::string_view name = std::string_view(folder).substr(0, folder.find('/'));
  if (name != "archive" && name != "package") facts.name = CleanText(name);
  map.Begin();
  ExportedWeights weights(package, folder, map);
  if (weights.Read()) return weights.Tell(facts);
  // In an archive inside.
  map.Fail(model::WeightsReason::kIncomplete);
  TellTensors(package.tensors(), facts);
}

}  // namespace

constinit const ZipKind kPyTorchExport{model::Format::kPyTorchExport, IsExported, TellExported};

}  // namespace weighmaster::agent::formats
