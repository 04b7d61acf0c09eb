#include "agent/formats/keras/keras_hdf5.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/formats/keras/hdf5.h"
#include "agent/formats/keras/keras_config.h"
#include "agent/formats/reading/risks.h"

namespace weighmaster::agent::formats {
namespace {

using model::WeightsReason;

// What Keras says at the root. Lists that are too long for one attribute are divided, and then
// numbered from 0.
constexpr std::string_view kRootSigns[] = {"model_config", "layer_names", "layer_names0",
                                           "keras_version"};
// Configurations that the loader makes objects of.
constexpr std::string_view kConfigs[] = {"model_config", "training_config"};
// Groups at the root that hold the state of training.
constexpr std::string_view kOptimizerGroups[] = {"optimizer_weights", "optimizer"};
constexpr std::size_t kMaxTypeNameBytes = 16;

template <typename Range>
bool Holds(const Range& range, std::string_view text) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

// ".../vars/12": where Keras 3 keeps the variables of a layer.
bool IsVariable(std::string_view path) {
  constexpr std::string_view kGroup = "/vars";
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || slash + 1 == path.size()) return false;
  const std::string_view number = path.substr(slash + 1);
  const std::string_view group = path.substr(0, slash);
  return std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         group.size() >= kGroup.size() && group.substr(group.size() - kGroup.size()) == kGroup;
}

bool IsOptimizer(std::string_view path) {
  if (path.empty()) return false;
  path.remove_prefix(1);
  return Holds(kOptimizerGroups, path.substr(0, path.find('/')));
}

// One reading of one file. Whether Keras wrote it shows on the way.
class KerasReader {
 public:
  KerasReader(ByteSource& source, WorkBudget& budget, TensorMapWriter& map)
      : cursor_(source, budget), file_(cursor_, risks_), map_(map) {}

  model::Facts Read() &&;

 private:
  void ReadRoot(const Hdf5Object& root);
  void CheckFiles(const std::string& path, const Hdf5Object& object);
  void AddDataset(const std::string& path, const Hdf5Object& dataset);
  const ElementType* TypeOf(const Hdf5Object& dataset);
  std::optional<std::uint64_t> ElementsOf(const Hdf5Object& dataset);
  void MapDataset(const Hdf5Object& dataset, const ElementType* type,
                  std::optional<std::uint64_t> elements);
  void AddRisk(RiskId id, std::string_view evidence, model::Severity severity) {
    cursor_.budget().Take(work::kRisk);
    risks_.Add(id, evidence, severity);
  }

  Cursor cursor_;
  RiskList risks_;
  Hdf5File file_;
  TensorMapWriter& map_;
  model::Facts facts_;
  bool recognised_ = false;
  std::uint64_t tensors_ = 0;
  std::uint64_t parameters_ = 0;
  bool counted_ = true;
  std::map<std::string_view, std::uint64_t> elements_by_type_;
};

model::Facts KerasReader::Read() && {
  if (!file_.Open()) return {};
  file_.Walk([this](const std::string& path, const Hdf5Object& object) {
    if (path.empty()) ReadRoot(object);
    CheckFiles(path, object);
    if (object.is_dataset) AddDataset(path, object);
    return true;
  });
  if (!recognised_) return {};
  facts_.format = model::Format::kKerasHdf5;
  const bool spent = cursor_.budget().spent();
  if (spent) risks_.AddSpent(cursor_.offset());
  if (spent || !file_.whole()) {
    map_.Fail(WeightsReason::kIncomplete);
  } else {
    facts_.tensor_count = tensors_;
    if (counted_) facts_.parameters = parameters_;
  }
  std::uint64_t most = 0;
  for (const auto& [type, elements] : elements_by_type_) {
    if (elements < most) continue;
    most = elements;
    facts_.quantization = std::string(type);
  }
  facts_.risks = std::move(risks_).Take();
  return std::move(facts_);
}

void KerasReader::ReadRoot(const Hdf5Object& root) {
  for (const Hdf5Attribute& attribute : root.attributes) {
    recognised_ = recognised_ || Holds(kRootSigns, attribute.name);
    if (!Holds(kConfigs, attribute.name)) continue;
    const auto place = file_.TextOf(attribute);
    if (!place.has_value()) {
      AddRisk(RiskId::kOpaque, attribute.name + " is no text that can be read",
              RiskSeverity(RiskId::kOpaque));
      continue;
    }
    Cursor text(cursor_.source(), cursor_.budget(), place->begin, place->end);
    const KerasConfig config = ScanKerasConfig(text, risks_, attribute.name + ": ");
    if (attribute.name != "model_config") continue;
    facts_.name = CleanText(config.name);
    facts_.architecture = CleanText(config.class_name);
  }
}

// Keras keeps everything in the one file, so that each of these was put there by someone else.
// Relative names are looked for where the loading program happens to run.
void KerasReader::CheckFiles(const std::string& path, const Hdf5Object& object) {
  const auto add = [&](const std::string& name, const std::string& file) {
    const bool leaves = LeavesFolderOfModel(file);
    AddRisk(RiskId::kExternalDataEscapes, name + " lies in " + file,
            leaves ? RiskSeverity(RiskId::kExternalDataEscapes) : model::Severity::kMedium);
    map_.Fail(WeightsReason::kIncomplete);
  };
  for (const std::string& file : object.data_files) add(path, file);
  for (const Hdf5Link& link : object.links) {
    if (link.kind == Hdf5Link::Kind::kExternal) add(path + "/" + link.name, link.file);
  }
}

void KerasReader::AddDataset(const std::string& path, const Hdf5Object& dataset) {
  recognised_ = recognised_ || IsVariable(path);
  if (IsOptimizer(path)) return;
  const Hdf5Type::Kind kind =
      dataset.type.has_value() ? dataset.type->kind : Hdf5Type::Kind::kOther;
  // Vocabularies and the like are texts, not tensors.
  if (kind == Hdf5Type::Kind::kText || kind == Hdf5Type::Kind::kVariableText) return;
  const ElementType* const type = TypeOf(dataset);
  const auto elements = ElementsOf(dataset);
  ++tensors_;
  if (!elements.has_value() || __builtin_add_overflow(parameters_, *elements, &parameters_)) {
    counted_ = false;
  }
  if (type != nullptr) elements_by_type_[type->name] += elements.value_or(0);
  MapDataset(dataset, type, elements);
}

// Nothing where 64 bits do not count them.
std::optional<std::uint64_t> KerasReader::ElementsOf(const Hdf5Object& dataset) {
  std::uint64_t elements = 1;
  bool overflow = false;
  bool empty = dataset.has_no_elements;
  for (const std::uint64_t extent : dataset.dims) {
    cursor_.budget().Take(work::kExtent);
    empty = empty || extent == 0;
    overflow = overflow || __builtin_mul_overflow(elements, extent, &elements);
  }
  if (empty) return 0;
  return overflow ? std::nullopt : std::optional(elements);
}

// NumPy has no bfloat16 of its own: Keras writes raw bytes, and beside them what they are.
const ElementType* KerasReader::TypeOf(const Hdf5Object& dataset) {
  if (!dataset.type.has_value()) return nullptr;
  if (dataset.type->kind != Hdf5Type::Kind::kOpaque || dataset.type->bytes != 2) {
    return dataset.type->type;
  }
  const Hdf5Attribute* const name = dataset.FindAttribute("dtype");
  if (name == nullptr || file_.ReadText(*name, kMaxTypeNameBytes) != "bfloat16") return nullptr;
  return FindElementType("BF16");
}

void KerasReader::MapDataset(const Hdf5Object& dataset, const ElementType* type,
                             std::optional<std::uint64_t> elements) {
  const auto malformed = [&](const std::string& what) {
    map_.Fail(WeightsReason::kIncomplete);
    AddRisk(RiskId::kMalformed, what, RiskSeverity(RiskId::kMalformed));
  };
  const bool in_place =
      dataset.layout == Hdf5Layout::kContiguous || dataset.layout == Hdf5Layout::kCompact;
  if (!dataset.data_files.empty() || elements == 0) return;
  if (!in_place || dataset.filtered) return map_.Fail(WeightsReason::kPacked);
  // Space that was never written to is filled with a value when it is read.
  if (!dataset.data.has_value()) return map_.Fail(WeightsReason::kIncomplete);
  const std::uint64_t element_bytes = dataset.type.has_value() ? dataset.type->bytes : 0;
  std::uint64_t bytes = 0;
  const bool counted =
      elements.has_value() && !__builtin_mul_overflow(*elements, element_bytes, &bytes);
  const std::uint64_t end = cursor_.end();
  if (!counted || *dataset.data > end || bytes > end - *dataset.data) {
    return malformed("elements past the end, from " + AtOffset(*dataset.data));
  }
  if (dataset.data_bytes.has_value() && *dataset.data_bytes < bytes) {
    return malformed(std::to_string(bytes) + " bytes of elements in " +
                     std::to_string(*dataset.data_bytes) + " at " + AtOffset(*dataset.data));
  }
  if (type == nullptr) return map_.Fail(WeightsReason::kUnknownType);
  map_.Add({type, dataset.dims, {}, *dataset.data, dataset.type->big_endian});
}

}  // namespace

bool LooksLikeKerasHdf5(const FileEnds& file) { return LooksLikeHdf5(file); }

model::Facts ParseKerasHdf5(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) {
  tensors.Begin();
  return KerasReader(source, budget, tensors).Read();
}

}  // namespace weighmaster::agent::formats
