#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file begins like a Core ML Model: a version, a description with features or metadata,
// and nothing but fields of a Model as far as the head goes.
bool LooksLikeCoreMl(const FileEnds& file);

// Core ML's .mlmodel, also the one inside of an .mlpackage:
// https://github.com/apple/coremltools/blob/main/mlmodel/format/Model.proto, NeuralNetwork.proto,
// MIL.proto, LinkedModel.proto beside it. Weights that an ML program has in its own file are
// counted by what the program says of them. kUnknown when it is another protobuf.
model::Facts ParseCoreMl(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
