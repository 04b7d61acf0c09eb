#include "agent/formats/keras/keras_config.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "agent/formats/grammars/json_reader.h"
#include "agent/formats/pickle/globals.h"
#include "agent/formats/reading/leaves_folder.h"

namespace weighmaster::agent::formats {
namespace {

using model::Severity;

// As of a member of an archive: the largest configurations known have a few megabytes.
constexpr std::size_t kMaxConfigBytes = base::limits::kMaxInflatedBytes;
// Of what stands in evidence, so that a long one does not hide the next.
constexpr std::size_t kShownBytes = 96;

// Packages that are Keras, or Keras's own models. All below them belongs to them.
constexpr std::string_view kKerasPackages[] = {
    "keras",      "tf_keras",  "tensorflow.keras", "tensorflow.python.keras",
    "keras_core", "keras_nlp", "keras_hub",        "keras_cv",
};
// Parts of a module's name that stand for nothing: keras.src.utils is keras.utils.
constexpr std::string_view kInnerParts[] = {"src", "api", "_tf_keras", "keras", "v2", "engine"};

// Within Keras, by the first part of the module that means something: functions there load files,
// models and settings. Classes of them (a name that begins with a capital) are layers and the like.
constexpr std::string_view kReachingParts[] = {
    "config", "utils",     "saving",  "models",   "export", "datasets", "preprocessing",
    "legacy", "callbacks", "backend", "wrappers", "tree",   "testing",  "distribution",
};
// Names within Keras that run or fetch what the configuration chooses, wherever they are found.
constexpr std::string_view kReachingNames[] = {
    "enable_unsafe_deserialization",
    "get_file",
    "load_model",
    "load_weights",
    "func_load",
    "pickle",
    "load_img",
    "extract_archive",
    "deserialize_keras_object",
    "file_utils",
    "python_utils",
    "model_from_json",
};
// Layers that load what the configuration holds by a pickle, or by TensorFlow from a file.
constexpr std::string_view kLoadingLayers[] = {"TorchModuleWrapper", "TFSMLayer"};
// Layers whose `vocabulary` may name a file, which is read when the model is loaded.
constexpr std::string_view kLookupLayers[] = {"StringLookup", "IntegerLookup", "TextVectorization"};
// What TFOpLambda calls of TensorFlow, by its public name, and what only some of that is.
constexpr std::string_view kOpLayers[] = {"TFOpLambda", "SlicingOpLambda"};
constexpr std::string_view kFileOps[] = {"write_file", "read_file", "matching_files",
                                         "WriteFile",  "ReadFile",  "MatchingFiles"};
constexpr std::string_view kCodeOps[] = {"py_function", "numpy_function", "py_func", "PyFunc",
                                         "EagerPyFunc"};

template <typename Range>
bool Holds(const Range& range, std::string_view text) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

bool IsBelow(std::string_view module, std::string_view parent) {
  return module.substr(0, parent.size()) == parent &&
         (module.size() == parent.size() || module[parent.size()] == '.');
}

bool IsKeras(std::string_view module) {
  return std::any_of(std::begin(kKerasPackages), std::end(kKerasPackages),
                     [&](std::string_view package) { return IsBelow(module, package); });
}

bool BeginsLikeClass(std::string_view name) {
  return !name.empty() && name.front() >= 'A' && name.front() <= 'Z';
}

std::string_view LastPart(std::string_view dotted) {
  return dotted.substr(dotted.find_last_of('.') + 1);
}

// Whether a name within Keras reaches further than a layer has to.
bool IsGadget(std::string_view module, std::string_view name) {
  if (Holds(kReachingNames, LastPart(name)) || Holds(kLoadingLayers, name)) return true;
  for (std::string_view rest = module; !rest.empty();) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    if (Holds(kReachingNames, part)) return true;
    rest.remove_prefix(dot == std::string_view::npos ? rest.size() : dot + 1);
  }
  std::string_view rest = module.substr(std::min(module.size(), module.find('.')));
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('.'));
    if (!Holds(kInnerParts, part)) return Holds(kReachingParts, part) && !BeginsLikeClass(name);
    rest.remove_prefix(part.size());
  }
  return false;
}

// "package>Name", under which a class was registered.
bool IsRegistered(std::string_view name) {
  const std::size_t mark = name.find('>');
  return mark != std::string_view::npos && mark > 0 && mark + 1 < name.size();
}

// Python's writer puts NaN and Infinity, which are no JSON; in the same places stand numbers then,
// so that offsets stay what they are.
void MakeNumbers(std::string& json) {
  bool quoted = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '\\' && quoted) {
      ++i;
    } else if (json[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && (json[i] == 'N' || json[i] == 'I')) {
      const std::string_view rest = std::string_view(json).substr(i);
      const std::string_view word = json[i] == 'N' ? "NaN" : "Infinity";
      if (rest.substr(0, word.size()) != word) continue;
      json.replace(i, word.size(), "0" + std::string(word.size() - 1, ' '));
    }
  }
}

// Base64 of a code object as Python's marshal writes it: 'c', with or without the flag of something
// that is referred to, and few arguments.
bool IsMarshalledCode(std::string_view text) {
  constexpr std::size_t kLeastBytes = 32;
  const std::string_view start = text.substr(0, 2);
  return text.size() >= kLeastBytes && (start == "4w" || start == "Yw");
}

// One reading of one configuration.
class ConfigReader {
 public:
  ConfigReader(Cursor& cursor, RiskList& risks, const std::string& place)
      : budget_(cursor.budget()), json_(cursor), risks_(risks), place_(place) {}

  KerasConfig Read();

 private:
  // An object or an array that is open.
  struct Frame {
    bool is_object = true;
    std::string key;  // that was read last: what stands for the value that follows
    std::string class_name;
    std::string module;
    std::string registered_name;
    std::string spec_name;   // of a TypeSpec
    std::string config;      // where it is a text: the name of a function
    std::string name;        // of a layer, which stands in its config
    std::string function;    // where it is a text
    std::string vocabulary;  // likewise
    bool carries_code = false;
  };

  void Open(bool is_object);
  void KeepText(const std::string& text);
  void Close();
  void TellObject(Frame& frame);
  void TellLambda(Frame& frame);
  void TellImport(const Frame& frame, std::string_view name);
  void TellLayer(const Frame& frame);
  void Add(RiskId id, Severity severity, const std::string& evidence);
  static std::string Shown(std::string_view text) {
    return std::string(text.substr(0, kShownBytes));
  }

  WorkBudget& budget_;
  JsonReader json_;
  RiskList& risks_;
  const std::string& place_;
  std::vector<Frame> open_;
  KerasConfig config_;
};

KerasConfig ConfigReader::Read() {
  while (true) {
    switch (json_.Next()) {
      case JsonToken::kObject:
        Open(true);
        break;
      case JsonToken::kArray:
        Open(false);
        break;
      case JsonToken::kKey:
        open_.back().key = json_.text();
        break;
      case JsonToken::kText:
        if (!open_.empty()) KeepText(json_.text());
        break;
      case JsonToken::kEndObject:
      case JsonToken::kEndArray:
        Close();
        break;
      case JsonToken::kEnd:
        return std::move(config_);
      case JsonToken::kBroken:
        if (!budget_.spent()) {
          Add(RiskId::kMalformed, RiskSeverity(RiskId::kMalformed),
              "a configuration that is no JSON or nests too deeply, read to " +
                  AtOffset(json_.offset()));
        }
        // What is open is told by what was read of it.
        while (!open_.empty()) Close();
        return std::move(config_);
      default:
        break;
    }
  }
}

void ConfigReader::Open(bool is_object) {
  Frame frame;
  frame.is_object = is_object;
  // The texts of an array are of the key that it stands for.
  if (!is_object && !open_.empty()) frame.key = open_.back().key;
  open_.push_back(std::move(frame));
}

void ConfigReader::KeepText(const std::string& text) {
  // A Lambda's function_type, output_shape_type and mask_type in old files.
  constexpr std::string_view kTypeEnd = "_type";
  Frame& frame = open_.back();
  if (!frame.is_object) {
    // There the function is a list: its code, its defaults, its closure.
    frame.carries_code = frame.carries_code || (frame.key == "function" && IsMarshalledCode(text));
    return;
  }
  if (frame.key == "class_name") {
    frame.class_name = text;
    if (open_.size() == 1) config_.class_name = text;
  } else if (frame.key == "module") {
    frame.module = text;
  } else if (frame.key == "registered_name") {
    frame.registered_name = text;
  } else if (frame.key == "spec_name") {
    frame.spec_name = text;
  } else if (frame.key == "config") {
    frame.config = text;
  } else if (frame.key == "function") {
    frame.function = text;
  } else if (frame.key == "vocabulary") {
    frame.vocabulary = text;
  } else if (frame.key == "name") {
    frame.name = text;
    if (open_.size() == 2 && open_[0].key == "config") config_.name = text;
  } else if (text == "lambda" && frame.key.size() > kTypeEnd.size() &&
             frame.key.substr(frame.key.size() - kTypeEnd.size()) == kTypeEnd) {
    frame.carries_code = true;
  }
}

void ConfigReader::Close() {
  Frame frame = std::move(open_.back());
  open_.pop_back();
  if (frame.is_object) TellObject(frame);
  if (open_.empty()) {
    if (!frame.carries_code) return;
    return Add(RiskId::kKerasLambda, RiskSeverity(RiskId::kKerasLambda), "code outside any layer");
  }
  Frame& outer = open_.back();
  outer.carries_code = outer.carries_code || frame.carries_code;
  if (!frame.is_object || !outer.is_object || outer.key != "config") return;
  // What a layer's config says is of the layer.
  outer.name = std::move(frame.name);
  outer.function = std::move(frame.function);
  outer.vocabulary = std::move(frame.vocabulary);
}

void ConfigReader::TellObject(Frame& frame) {
  if (frame.class_name == "__lambda__") {
    frame.carries_code = true;
    return;
  }
  if (frame.class_name.empty()) return;
  TellLambda(frame);
  // What the loader looks for: the class, or the function that the config names; and where that is
  // not found, what it is registered as.
  const bool function = frame.class_name == "function";
  if (frame.class_name == "__typespec__") {
    TellImport(frame, frame.spec_name);
  } else {
    TellImport(frame, function ? frame.config : frame.class_name);
  }
  const bool other = frame.registered_name != frame.class_name && !frame.registered_name.empty();
  if (other && !IsRegistered(frame.registered_name) && frame.registered_name != frame.config) {
    TellImport(frame, frame.registered_name);
  }
  TellLayer(frame);
}

void ConfigReader::TellLambda(Frame& frame) {
  const bool lambda = frame.class_name == "Lambda" || frame.registered_name == "Lambda";
  if (!lambda && !frame.carries_code) return;
  const std::string layer = frame.class_name + " \"" + Shown(frame.name) + "\"";
  if (frame.carries_code) {
    Add(RiskId::kKerasLambda, RiskSeverity(RiskId::kKerasLambda), layer + " carries code");
  } else {
    Add(RiskId::kKerasLambda, Severity::kMedium, layer + " calls a function by its name");
  }
  frame.carries_code = false;
}

void ConfigReader::TellImport(const Frame& frame, std::string_view name) {
  const std::string_view module = frame.module;
  if (module.empty() || name.empty()) {
    // Old files name no module, and their loader knows Keras's classes only.
    if (Holds(kLoadingLayers, name)) {
      Add(RiskId::kKerasForeignModule, Severity::kHigh, Shown(name));
    }
    return;
  }
  const auto parts = static_cast<std::uint64_t>(std::count(name.begin(), name.end(), '.'));
  budget_.Take(work::kImport + work::kImportPart * (parts + 1));
  const std::string evidence =
      Shown(module) + "." + Shown(name) + " in \"" + Shown(frame.name) + '"';
  const GlobalGrade grade = GradeGlobal(module, name);
  if (grade == GlobalGrade::kExecutes) {
    return Add(RiskId::kKerasForeignModule, Severity::kCritical, evidence);
  }
  if (grade == GlobalGrade::kReaches) {
    return Add(RiskId::kKerasForeignModule, Severity::kHigh, evidence);
  }
  if (IsKeras(module)) {
    if (IsGadget(module, name)) Add(RiskId::kKerasForeignModule, Severity::kHigh, evidence);
    return;
  }
  // Python's own functions have other names than Keras's, which are written down as of builtins.
  if (module == "builtins" || grade == GlobalGrade::kSafe) return;
  if (IsBelow(module, "tensorflow") && BeginsLikeClass(name)) return;  // TypeSpecs and the like
  const bool registered = IsRegistered(frame.registered_name);
  Add(RiskId::kKerasForeignModule, registered ? Severity::kInfo : Severity::kMedium, evidence);
}

void ConfigReader::TellLayer(const Frame& frame) {
  if (Holds(kLookupLayers, frame.class_name) && LeavesFolderOfModel(frame.vocabulary)) {
    Add(RiskId::kExternalDataEscapes, RiskSeverity(RiskId::kExternalDataEscapes),
        "a vocabulary: " + Shown(frame.vocabulary));
  }
  if (!Holds(kOpLayers, frame.class_name)) return;
  const std::string_view op = LastPart(frame.function);
  if (Holds(kCodeOps, op)) {
    Add(RiskId::kTfExecutesCode, RiskSeverity(RiskId::kTfExecutesCode), Shown(frame.function));
  } else if (Holds(kFileOps, op)) {
    Add(RiskId::kTfReachesFiles, RiskSeverity(RiskId::kTfReachesFiles), Shown(frame.function));
  }
}

void ConfigReader::Add(RiskId id, Severity severity, const std::string& evidence) {
  budget_.Take(work::kRisk);
  risks_.Add(id, place_ + evidence, severity);
}

}  // namespace

KerasConfig ScanKerasConfig(std::string json, WorkBudget& budget, RiskList& risks,
                            const std::string& place) {
  if (json.size() > kMaxConfigBytes) {
    risks.Add(RiskId::kOpaque,
              place + "a configuration of " + std::to_string(json.size()) + " bytes");
    json.resize(kMaxConfigBytes);
  }
  budget.Take(json.size() * work::kByte);
  // h5py fills texts of a fixed length up with zeros.
  json.resize(std::min(json.size(), json.find('\0')));
  MakeNumbers(json);
  MemorySource source(base::AsBytes(json));
  Cursor cursor(source, budget);
  return ConfigReader(cursor, risks, place).Read();
}

KerasConfig ScanKerasConfig(Cursor& cursor, RiskList& risks, const std::string& place) {
  auto json = cursor.Text(cursor.remaining(), kMaxConfigBytes + 1);
  if (!json.has_value()) return {};
  return ScanKerasConfig(*std::move(json), cursor.budget(), risks, place);
}

bool LeavesFolderOfModel(std::string_view path) {
  return LeavesFolder(path) || path.starts_with('~') || path.find("://") != path.npos;
}

}  // namespace weighmaster::agent::formats
