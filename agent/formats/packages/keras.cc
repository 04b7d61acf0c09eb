#include "agent/formats/packages/keras.h"

#include <algorithm>
#include <utility>

#include "agent/formats/keras/keras_config.h"
#include "agent/formats/keras/keras_hdf5.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kWeights = "model.weights.h5";
// Also weights as arrays of NumPy, or in several files, which an index names.
constexpr std::string_view kAnyWeights = "model.weights.";

bool IsKeras(ZipPackage& package) {
  return package.Find(kConfig) != nullptr &&
         std::ranges::any_of(package.members(), [](const ZipMember& member) {
           return member.name.starts_with(kAnyWeights) ||
                  member.other_name.starts_with(kAnyWeights);
         });
}

void TellWeights(ZipPackage& package, model::Facts& facts, TensorMapWriter& map) {
  const ZipMember* const weights = package.Find(kWeights);
  if (weights == nullptr) {
    map.Begin();
    map.Fail(model::WeightsReason::kIncomplete);
    for (const ZipPackage::Array& array : package.arrays()) package.Count(array.counts);
    return TellTensors(package.tensors(), facts);
  }
  map.set_base(weights->data);
  package.WithContent(*weights, [&](ByteSource& content, bool is_packed) {
    model::Facts part = ParseKerasHdf5(content, package.budget(), map);
    map.Begin();
    if (is_packed) map.Fail(model::WeightsReason::kPacked);
    facts.quantization = part.quantization;
    facts.parameters = part.parameters;
    facts.tensor_count = part.tensor_count;
    package.risks().AddOfPart(std::move(part.risks),
                              package.place() + std::string(kWeights) + ": ");
  });
}

void TellKeras(ZipPackage& package, model::Facts& facts, TensorMapWriter& map) {
  const std::string place = package.place() + std::string(kConfig) + ": ";
  package.WithContent(*package.Find(kConfig), [&](ByteSource& content, bool) {
    Cursor cursor(content, package.budget());
    const KerasConfig config = ScanKerasConfig(cursor, package.risks(), place);
    facts.architecture = CleanText(config.class_name);
    facts.name = CleanText(config.name);
  });
  TellWeights(package, facts, map);
}

}  // namespace

constinit const ZipKind kKerasPackage{model::Format::kKeras, IsKeras, TellKeras};

}  // namespace weighmaster::agent::formats
