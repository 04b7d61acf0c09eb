#include "agent/formats/tensorflow/tf_js.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/leaves_folder.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::size_t kLookedAtBytes = 4096;
constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kModelFormats[] = {"layers-model", "graph-model"};

// DType of types.ts, and what weights are quantised to.
constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
    {"float32", "F32"}, {"float16", "F16"}, {"int32", "I32"},     {"uint8", "U8"},
    {"uint16", "U16"},  {"bool", "BOOL"},   {"complex64", "C64"},
};

bool IsModelFormat(std::string_view text) {
  return std::find(std::begin(kModelFormats), std::end(kModelFormats), text) !=
         std::end(kModelFormats);
}

// Looks for a key of a model among those of the object that a text begins with, by their letters
// alone: a key that is written with escapes is not found.
class KeySearch {
 public:
  explicit KeySearch(std::string_view text) : rest_(text) {}

  bool Finds();

 private:
  void SkipBlanks() {
    rest_.remove_prefix(std::min(rest_.size(), rest_.find_first_not_of(kBlanks)));
  }
  // From a quote on; what stands between it and the next.
  std::string_view TakeText();
  bool TakeColon();

  std::string_view rest_;
};

std::string_view KeySearch::TakeText() {
  rest_.remove_prefix(1);
  const std::string_view from = rest_;
  while (!rest_.empty() && rest_.front() != '"') {
    rest_.remove_prefix(rest_.front() == '\\' ? std::min<std::size_t>(2, rest_.size()) : 1);
  }
  const std::string_view text = from.substr(0, from.size() - rest_.size());
  if (!rest_.empty()) rest_.remove_prefix(1);
  return text;
}

bool KeySearch::TakeColon() {
  SkipBlanks();
  if (rest_.empty() || rest_.front() != ':') return false;
  rest_.remove_prefix(1);
  SkipBlanks();
  return true;
}

bool KeySearch::Finds() {
  std::size_t depth = 0;
  SkipBlanks();
  if (rest_.empty() || rest_.front() != '{') return false;
  while (!rest_.empty()) {
    const char c = rest_.front();
    if (c == '"') {
      const std::string_view text = TakeText();
      if (depth != 1 || !TakeColon() || rest_.empty()) continue;
      if (text == "modelTopology" && rest_.front() == '{') return true;
      if (text == "weightsManifest" && rest_.front() == '[') return true;
      if (text == "format" && rest_.front() == '"' && IsModelFormat(TakeText())) return true;
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return false;
    rest_.remove_prefix(1);
  }
  return false;
}

// One reading of one file.
class TfJsReader {
 public:
  TfJsReader(ByteSource& source, WorkBudget& budget)
      : budget_(budget), cursor_(source, budget), json_(cursor_) {}

  model::Facts Read() &&;

 private:
  // Each leaves the reader behind the value that is named, or returns false where it is broken.
  bool ReadObject();
  bool ReadTopology();
  bool ReadManifest();
  bool ReadGroup();
  bool ReadPaths();
  bool ReadWeights();
  bool ReadWeight();
  bool ReadShape(std::uint64_t& elements, bool& known);
  bool ReadQuantization(std::string& type);
  bool Skip(JsonToken first);

  void LookAtClass(std::size_t depth);
  void LookAtName(std::size_t depth);
  void Count(std::string_view type, std::optional<std::uint64_t> elements);
  void AddRisk(RiskId id, std::string_view evidence);

  WorkBudget& budget_;
  Cursor cursor_;
  JsonReader json_;
  model::Facts facts_;
  RiskList risks_;
  bool has_format_ = false;
  bool has_topology_ = false;
  bool has_manifest_ = false;
  std::size_t class_depth_ = 0;  // of the model's own class; 0: not seen yet
  bool counted_ = true;
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

model::Facts TfJsReader::Read() && {
  const bool whole = ReadObject() && json_.Next() == JsonToken::kEnd;
  const bool two = has_format_ ? has_topology_ || has_manifest_ : has_topology_ && has_manifest_;
  // The second may have been cut off.
  if (whole ? !two : !has_topology_ && !has_manifest_) return {};
  if (budget_.spent()) {
    risks_.AddSpent(json_.offset());
  } else if (!whole) {
    AddRisk(RiskId::kMalformed, "no JSON of a model from " + AtOffset(json_.offset()));
  }
  facts_.format = model::Format::kTfJs;
  if (has_manifest_) facts_.tensor_count = tensors_;
  if (has_manifest_ && whole && counted_) facts_.parameters = parameters_;
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts_.quantization = std::string(type);
  }
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

bool TfJsReader::ReadObject() {
  if (json_.Next() != JsonToken::kObject) return false;
  JsonToken token = json_.Next();
  for (; token == JsonToken::kKey; token = json_.Next()) {
    const std::string key = json_.text();
    const JsonToken value = json_.Next();
    if (key == "format" && value == JsonToken::kText) {
      has_format_ = has_format_ || IsModelFormat(json_.text());
    } else if (key == "modelTopology" && value == JsonToken::kObject) {
      has_topology_ = true;
      if (!ReadTopology()) return false;
    } else if (key == "weightsManifest" && value == JsonToken::kArray) {
      has_manifest_ = true;
      if (!ReadManifest()) return false;
    } else if (!Skip(value)) {
      return false;
    }
  }
  return token == JsonToken::kEndObject;
}

bool TfJsReader::Skip(JsonToken first) {
  if (first == JsonToken::kBroken) return false;
  SkipValue(json_, first);
  // A broken reader stays broken, which the next token tells.
  return true;
}

bool TfJsReader::ReadTopology() {
  std::size_t depth = 1;
  while (depth > 0) {
    switch (json_.Next()) {
      case JsonToken::kObject:
      case JsonToken::kArray:
        ++depth;
        break;
      case JsonToken::kEndObject:
      case JsonToken::kEndArray:
        --depth;
        break;
      case JsonToken::kKey: {
        const std::string& key = json_.text();
        if (key != "class_name" && key != "name") break;
        const bool of_class = key == "class_name";
        const JsonToken value = json_.Next();
        if (value == JsonToken::kText && of_class) {
          LookAtClass(depth);
        } else if (value == JsonToken::kText) {
          LookAtName(depth);
        } else if (value == JsonToken::kObject || value == JsonToken::kArray) {
          ++depth;
        } else if (value == JsonToken::kBroken) {
          return false;
        }
        break;
      }
      case JsonToken::kBroken:
      case JsonToken::kEnd:
        return false;
      default:
        break;
    }
  }
  return true;
}

// The first class is the model's own.
void TfJsReader::LookAtClass(std::size_t depth) {
  if (class_depth_ == 0) {
    class_depth_ = depth;
    budget_.Take(json_.text().size() * work::kTextByte);
    facts_.architecture = CleanText(json_.text());
  }
  if (json_.text() == "Lambda") {
    AddRisk(RiskId::kKerasLambda, "a layer before " + AtOffset(json_.offset()));
  }
}

// The first name in the configuration of that class is the model's.
void TfJsReader::LookAtName(std::size_t depth) {
  if (class_depth_ == 0 || depth != class_depth_ + 1 || !facts_.name.empty()) return;
  budget_.Take(json_.text().size() * work::kTextByte);
  facts_.name = CleanText(json_.text());
}

bool TfJsReader::ReadManifest() {
  JsonToken token = json_.Next();
  for (; token == JsonToken::kObject; token = json_.Next()) {
    if (!ReadGroup()) return false;
  }
  return token == JsonToken::kEndArray;
}

bool TfJsReader::ReadGroup() {
  JsonToken token = json_.Next();
  for (; token == JsonToken::kKey; token = json_.Next()) {
    const std::string key = json_.text();
    const JsonToken value = json_.Next();
    bool read = false;
    if (key == "paths" && value == JsonToken::kArray) {
      read = ReadPaths();
    } else if (key == "weights" && value == JsonToken::kArray) {
      read = ReadWeights();
    } else {
      read = Skip(value);
    }
    if (!read) return false;
  }
  return token == JsonToken::kEndObject;
}

bool TfJsReader::ReadPaths() {
  JsonToken token = json_.Next();
  for (; token == JsonToken::kText; token = json_.Next()) {
    if (LeavesFolder(json_.text())) AddRisk(RiskId::kExternalDataEscapes, json_.text());
  }
  return token == JsonToken::kEndArray;
}

bool TfJsReader::ReadWeights() {
  JsonToken token = json_.Next();
  for (; token == JsonToken::kObject; token = json_.Next()) {
    if (!ReadWeight()) return false;
  }
  return token == JsonToken::kEndArray;
}

bool TfJsReader::ReadWeight() {
  budget_.Take(work::kTensor);
  std::string type;
  std::string stored_type;
  std::uint64_t elements = 1;
  bool known = false;
  JsonToken token = json_.Next();
  for (; token == JsonToken::kKey; token = json_.Next()) {
    const std::string key = json_.text();
    const JsonToken value = json_.Next();
    bool read = true;
    if (key == "dtype" && value == JsonToken::kText) {
      type = json_.text();
    } else if (key == "shape" && value == JsonToken::kArray) {
      read = ReadShape(elements, known);
    } else if (key == "quantization" && value == JsonToken::kObject) {
      read = ReadQuantization(stored_type);
    } else {
      read = Skip(value);
    }
    if (!read) return false;
  }
  if (token != JsonToken::kEndObject) return false;
  Count(stored_type.empty() ? type : stored_type, known ? std::optional(elements) : std::nullopt);
  return true;
}

bool TfJsReader::ReadShape(std::uint64_t& elements, bool& known) {
  elements = 1;
  known = true;
  JsonToken token = json_.Next();
  for (; token == JsonToken::kUnsigned; token = json_.Next()) {
    budget_.Take(work::kExtent);
    if (__builtin_mul_overflow(elements, json_.number(), &elements)) known = false;
  }
  return token == JsonToken::kEndArray;
}

bool TfJsReader::ReadQuantization(std::string& type) {
  JsonToken token = json_.Next();
  for (; token == JsonToken::kKey; token = json_.Next()) {
    const bool of_type = json_.text() == "dtype";
    const JsonToken value = json_.Next();
    if (of_type && value == JsonToken::kText) {
      type = json_.text();
    } else if (!Skip(value)) {
      return false;
    }
  }
  return token == JsonToken::kEndObject;
}

void TfJsReader::Count(std::string_view type, std::optional<std::uint64_t> elements) {
  if (type == "string") return;
  ++tensors_;
  if (!elements.has_value() || __builtin_add_overflow(parameters_, *elements, &parameters_)) {
    counted_ = false;
    return;
  }
  for (const auto& [written, name] : kTypes) {
    if (written == type) elements_by_type_[name] += *elements;
  }
}

void TfJsReader::AddRisk(RiskId id, std::string_view evidence) {
  budget_.Take(work::kRisk);
  risks_.Add(id, evidence);
}

}  // namespace

bool LooksLikeTfJs(const FileEnds& file) {
  const base::ByteView head = file.head;
  return KeySearch(base::AsText(head.first(std::min(head.size(), kLookedAtBytes)))).Finds();
}

model::Facts ParseTfJs(ByteSource& source, WorkBudget& budget, TensorMapWriter& /*tensors*/) {
  return TfJsReader(source, budget).Read();
}

}  // namespace weighmaster::agent::formats
