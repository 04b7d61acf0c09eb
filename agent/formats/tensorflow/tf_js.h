#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file begins like a JSON object that has, among its first keys, "modelTopology",
// "weightsManifest" or a "format" of TensorFlow.js.
bool LooksLikeTfJs(const FileEnds& file);

// TensorFlow.js's model.json:
// https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts (ModelJSON). The weights
// lie in files beside it and are counted by what it says of them. kUnknown when it is another JSON.
model::Facts ParseTfJs(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
