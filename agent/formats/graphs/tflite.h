#pragma once

#include <cstdint>
#include <string>

#include "agent/formats/graphs/tensor_count.h"
#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/risks.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a FlatBuffer with the identifier of TensorFlow Lite.
bool LooksLikeTflite(const FileEnds& file);

// TensorFlow Lite, now LiteRT: a FlatBuffer after
// https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs, with the
// metadata of tensorflow_lite_support/metadata/metadata_schema.fbs in
// https://github.com/tensorflow/tflite-support.
// Files that the metadata names are a zip behind the model; they are not looked at.
model::Facts ParseTflite(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

// What a model says of itself, wherever it lies.
struct TfliteModel {
  std::string name;
  std::string license;
  TensorCount constants;
  std::uint64_t read_to = 0;  // where in the file the reading ended
};

// Reads the model in [begin, end) of a file: what is wrong with it is added to `risks`, but for a
// spent budget, where its constants lie to `tensors`.
TfliteModel ReadTfliteModel(ByteSource& source, WorkBudget& budget, std::uint64_t begin,
                            std::uint64_t end, RiskList& risks, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
