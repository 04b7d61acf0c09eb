#include "agent/formats/packages/dduf.h"

#include <utility>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/weights/safetensors.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kIndex = "model_index.json";
constexpr std::string_view kClass = "_class_name";
constexpr std::size_t kMaxIndexBytes = 256 * base::limits::kKiB;

// The class of the pipeline; "" where the archive is of another kind.
std::string PipelineOf(ZipPackage& package) {
  std::string pipeline;
  const ZipMember* const index = package.Find(kIndex);
  if (index == nullptr) return pipeline;
  const auto content = package.Read(*index, kMaxIndexBytes);
  if (!content.has_value()) return pipeline;
  MemorySource source(*content);
  Cursor cursor(source, package.budget());
  JsonReader json(cursor);
  if (json.Next() != JsonToken::kObject) return pipeline;
  while (json.Next() == JsonToken::kKey) {
    const bool is_class = json.text() == kClass;
    const JsonToken value = json.Next();
    if (is_class && value == JsonToken::kText) pipeline = json.text();
    SkipValue(json, value);
  }
  return pipeline;
}

bool IsDduf(ZipPackage& package) { return !PipelineOf(package).empty(); }

void TellDduf(ZipPackage& package, model::Facts& facts, TensorMapWriter& /*map*/) {
  facts.architecture = CleanText(PipelineOf(package));
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  std::uint64_t most = 0;
  bool known = true;
  for (const ZipMember& member : package.members()) {
    if (member.encrypted || member.method != kZipStored) {
      // Its readers map the weights, so there is nothing to unpack.
      package.risks().Add(RiskId::kMalformed, package.place() + member.name + " is compressed");
      continue;
    }
    if (!member.name.ends_with(".safetensors")) continue;
    RangeSource content(package.source(), member.data, member.stored_bytes);
    TensorMapWriter nobody_asks(false);
    model::Facts part = ParseSafetensors(content, package.budget(), nobody_asks);
    tensors += part.tensor_count.value_or(0);
    known = known && part.parameters.has_value() &&
            !__builtin_add_overflow(parameters, *part.parameters, &parameters);
    if (part.parameters.value_or(0) > most) {
      most = *part.parameters;
      facts.quantization = part.quantization;
    }
    package.risks().AddOfPart(std::move(part.risks), package.place() + member.name + ": ");
  }
  if (tensors == 0) return;
  facts.tensor_count = tensors;
  if (known) facts.parameters = parameters;
}

}  // namespace

constinit const ZipKind kDduf{model::Format::kDduf, IsDduf, TellDduf};

}  // namespace weighmaster::agent::formats
