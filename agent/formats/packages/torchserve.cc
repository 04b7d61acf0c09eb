#include "agent/formats/packages/torchserve.h"

#include "agent/formats/grammars/json_reader.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kManifest = "MAR-INF/MANIFEST.json";
constexpr std::size_t kMaxManifestBytes = 64 * base::limits::kKiB;

// Java's archives have a manifest of another name.
bool IsTorchServe(ZipPackage& package) { return package.Find(kManifest) != nullptr; }

void ReadModel(JsonReader& json, model::Facts& facts) {
  while (json.Next() == JsonToken::kKey) {
    const bool is_name = json.text() == "modelName";
    const JsonToken value = json.Next();
    if (is_name && value == JsonToken::kText) facts.name = CleanText(json.text());
    SkipValue(json, value);
  }
}

void TellTorchServe(ZipPackage& package, model::Facts& facts, TensorMapWriter& /*map*/) {
  TellTensors(package.tensors(), facts);
  for (const ZipMember& member : package.members()) {
    if (member.name.ends_with(".py") || member.other_name.ends_with(".py")) {
      package.risks().Add(RiskId::kPythonCodeInside, package.place() + member.name);
    }
  }
  const auto manifest = package.Read(*package.Find(kManifest), kMaxManifestBytes);
  if (!manifest.has_value()) return;
  MemorySource source(*manifest);
  Cursor cursor(source, package.budget());
  JsonReader json(cursor);
  if (json.Next() != JsonToken::kObject) return;
  while (json.Next() == JsonToken::kKey) {
    const bool is_model = json.text() == "model";
    const JsonToken value = json.Next();
    if (is_model && value == JsonToken::kObject) {
      ReadModel(json, facts);
    } else {
      SkipValue(json, value);
    }
  }
}

}  // namespace

constinit const ZipKind kTorchServe{model::Format::kTorchServe, IsTorchServe, TellTorchServe};

}  // namespace weighmaster::agent::formats
