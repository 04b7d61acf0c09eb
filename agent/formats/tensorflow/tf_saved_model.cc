#include "agent/formats/tensorflow/tf_saved_model.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/grammars/protobuf_probe.h"
#include "agent/formats/grammars/protobuf_wire.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/tensorflow/graph_def.h"

namespace weighmaster::agent::formats {
namespace {

// Field numbers of the definitions that the header names.
constexpr std::uint32_t kSchemaVersion = 1, kMetaGraph = 2;
namespace meta_field {
constexpr std::uint32_t kInfo = 1, kGraph = 2, kSaver = 3, kAsset = 6, kObjects = 7;
}
namespace info_field {
constexpr std::uint32_t kVersion = 1, kOperators = 2, kAny = 3, kTag = 4, kTensorFlow = 5,
                        kCommit = 6, kStripped = 7, kAliases = 8;
}
constexpr std::uint32_t kSaverFileName = 1, kSaverRestore = 3;
constexpr std::uint32_t kAssetFileName = 2;
constexpr std::uint32_t kObject = 1, kUserObject = 4, kUserMetadata = 3;
constexpr std::uint32_t kOperator = 1, kOperatorName = 1, kTypeUrl = 1;

constexpr std::uint64_t kNewestSchema = 1;
// Far ahead of it: a larger number is none of a version.
constexpr std::uint64_t kMaxSchema = 64;
constexpr std::size_t kMaxNameBytes = 512;

bool BeginsWithText(const ProbedField& message, std::uint32_t number) {
  ProtobufProbe probe(message);
  const auto first = probe.Next();
  return first.has_value() && first->number == number && first->fits && LooksLikeText(*first);
}

// A MetaInfoDef that says what it is of: operators, a tag, or a version of TensorFlow.
bool LooksLikeInfo(const ProbedField& info) {
  bool says = false;
  ProtobufProbe probe(info);
  while (const auto field = probe.Next()) {
    if (!field->fits) return false;
    bool right = LooksLikeText(*field);
    switch (field->number) {
      case info_field::kOperators: {
        ProtobufProbe list(*field);
        const auto first = list.Next();
        right = field->type == WireType::kBytes &&
                (field->length == 0 || (first.has_value() && first->number == kOperator &&
                                        BeginsWithText(*first, kOperatorName)));
        says = true;
        break;
      }
      case info_field::kAny:
        right = BeginsWithText(*field, kTypeUrl);
        break;
      case info_field::kTag:
      case info_field::kTensorFlow:
        says = true;
        break;
      case info_field::kStripped:
        right = field->type == WireType::kVarint;
        break;
      case info_field::kAliases:
        right = BeginsWithText(*field, 1);
        break;
      case info_field::kVersion:
      case info_field::kCommit:
        break;
      default:
        return false;
    }
    if (!right) return false;
  }
  return probe.holds() && says;
}

bool LooksLikeMetaGraph(const ProbedField& meta_graph) {
  bool shown = false;
  ProtobufProbe probe(meta_graph);
  while (const auto field = probe.Next()) {
    const bool known = field->number >= meta_field::kInfo && field->number <= meta_field::kObjects;
    if (!known || field->type != WireType::kBytes || !field->fits) return false;
    if (field->number == meta_field::kInfo) {
      if (!LooksLikeInfo(*field)) return false;
      shown = true;
    }
    if (field->number == meta_field::kGraph) {
      shown = shown || LooksLikeGraphDef(ProtobufProbe(*field));
    }
  }
  return probe.holds() && shown;
}

// One reading of one file.
class SavedModelReader {
 public:
  SavedModelReader(ByteSource& source, WorkBudget& budget) : cursor_(source, budget) {}

  model::Facts Read() &&;

 private:
  void ReadMetaGraph(const WireField& field);
  void ReadSaver(const WireField& saver, GraphSurroundings& around);
  void ReadAsset(const WireField& asset);
  void ReadObjects(const WireField& objects);
  void ReadUserObject(const WireField& object);
  bool HasLambda(const WireField& metadata);
  void KeepTensors(const GraphDefReader& graph);

  std::string Text(const WireField& field, std::size_t keep);
  WireMessage Fields(const WireField& field);
  void CheckEnd(const WireMessage& message);
  void AddRisk(RiskId id, std::string_view evidence);

  Cursor cursor_;
  RiskList risks_;
  GraphTensors tensors_;
  bool has_meta_graph_ = false;
};

model::Facts SavedModelReader::Read() && {
  bool has_schema = false;
  WireMessage message(cursor_, cursor_.end());
  while (const auto field = message.Next()) {
    if (field->number == kSchemaVersion && field->type == WireType::kVarint) {
      has_schema = field->value <= kMaxSchema;
      if (!has_schema) return {};
      if (field->value > kNewestSchema) {
        AddRisk(RiskId::kUnsupportedVersion, "schema version " + std::to_string(field->value));
      }
    } else if (field->number == kMetaGraph && field->type == WireType::kBytes) {
      ReadMetaGraph(*field);
    } else {
      return {};
    }
  }
  const bool spent = cursor_.budget().spent();
  if (!has_meta_graph_ && !(message.broken() && has_schema) && !spent) return {};
  CheckEnd(message);
  model::Facts facts;
  facts.format = model::Format::kTfSavedModel;
  tensors_.Tell(facts);
  if (spent || message.broken()) facts.parameters.reset();
  if (spent) risks_.AddSpent(cursor_.offset());
  facts.risks = std::move(risks_).Take();
  return facts;
}

// Twice: what is said around the graph stands behind it.
void SavedModelReader::ReadMetaGraph(const WireField& field) {
  GraphSurroundings around;
  WireMessage first = Fields(field);
  while (const auto part = first.Next()) {
    if (part->type != WireType::kBytes) continue;
    if (part->number == meta_field::kInfo || part->number == meta_field::kGraph) {
      has_meta_graph_ = true;
    }
    if (part->number == meta_field::kSaver) ReadSaver(*part, around);
    if (part->number == meta_field::kObjects) ReadObjects(*part);
    if (part->number != meta_field::kAsset) continue;
    around.has_assets = true;
    ReadAsset(*part);
  }
  CheckEnd(first);
  GraphDefReader graph(cursor_, risks_);
  WireMessage second = Fields(field);
  while (const auto part = second.Next()) {
    if (part->number != meta_field::kGraph || part->type != WireType::kBytes) continue;
    graph.Read(part->begin, part->end, around);
  }
  KeepTensors(graph);
}

// The variables are the model; only where there are none (they were frozen) are constants.
void SavedModelReader::KeepTensors(const GraphDefReader& graph) {
  const GraphTensors& found = graph.variables().empty() ? graph.constants() : graph.variables();
  if (tensors_.empty() || found.elements() > tensors_.elements()) tensors_ = found;
}

void SavedModelReader::ReadSaver(const WireField& saver, GraphSurroundings& around) {
  WireMessage message = Fields(saver);
  while (const auto field = message.Next()) {
    if (field->number != kSaverFileName && field->number != kSaverRestore) continue;
    const std::string name = Text(*field, kMaxNameBytes);
    const std::size_t scope = name.rfind('/');
    if (scope != std::string::npos) around.saver_scope = name.substr(0, scope + 1);
  }
  CheckEnd(message);
}

void SavedModelReader::ReadAsset(const WireField& asset) {
  WireMessage message = Fields(asset);
  while (const auto field = message.Next()) {
    if (field->number != kAssetFileName) continue;
    const std::string name = Text(*field, base::limits::kMaxPathBytes);
    if (LeavesFolder(name)) AddRisk(RiskId::kExternalDataEscapes, name);
  }
  CheckEnd(message);
}

void SavedModelReader::ReadObjects(const WireField& objects) {
  WireMessage message = Fields(objects);
  while (const auto field = message.Next()) {
    if (field->number != kObject) continue;
    WireMessage object = Fields(*field);
    while (const auto part = object.Next()) {
      if (part->number == kUserObject) ReadUserObject(*part);
    }
    CheckEnd(object);
  }
  CheckEnd(message);
}

void SavedModelReader::ReadUserObject(const WireField& object) {
  WireMessage message = Fields(object);
  while (const auto field = message.Next()) {
    if (field->number != kUserMetadata || field->type != WireType::kBytes) continue;
    if (HasLambda(*field)) {
      AddRisk(RiskId::kKerasLambda, "a layer in the metadata at " + AtOffset(field->begin));
    }
  }
  CheckEnd(message);
}

// Keras puts the configuration of each layer there, from which it makes the layer again.
bool SavedModelReader::HasLambda(const WireField& metadata) {
  Cursor cursor(cursor_.source(), cursor_.budget(), metadata.begin, metadata.end);
  JsonReader json(cursor);
  JsonToken token = json.Next();
  bool of_class = false;
  while (token != JsonToken::kEnd && token != JsonToken::kBroken) {
    if (token == JsonToken::kText && of_class && json.text() == "Lambda") return true;
    of_class = token == JsonToken::kKey && json.text() == "class_name";
    token = json.Next();
  }
  return false;
}

std::string SavedModelReader::Text(const WireField& field, std::size_t keep) {
  if (field.type != WireType::kBytes || !cursor_.Seek(field.begin)) return {};
  return cursor_.Text(field.end - field.begin, keep).value_or("");
}

WireMessage SavedModelReader::Fields(const WireField& field) {
  // A field's place was checked when it was read.
  cursor_.Seek(field.begin);
  return WireMessage(cursor_, field.type == WireType::kBytes ? field.end : field.begin);
}

void SavedModelReader::AddRisk(RiskId id, std::string_view evidence) {
  cursor_.budget().Take(work::kRisk);
  risks_.Add(id, evidence);
}

void SavedModelReader::CheckEnd(const WireMessage& message) {
  if (!message.broken() || cursor_.budget().spent()) return;
  AddRisk(RiskId::kMalformed, "a field that is broken at " + AtOffset(cursor_.offset()));
}

}  // namespace

bool LooksLikeTfSavedModel(const FileEnds& file) {
  ProtobufProbe probe(file);
  while (const auto field = probe.Next()) {
    if (field->number == kSchemaVersion && field->type == WireType::kVarint) {
      if (field->value > kMaxSchema) return false;
    } else {
      return field->number == kMetaGraph && field->type == WireType::kBytes &&
             LooksLikeMetaGraph(*field);
    }
  }
  return false;
}

model::Facts ParseTfSavedModel(ByteSource& source, WorkBudget& budget,
                               TensorMapWriter& /*tensors*/) {
  return SavedModelReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
