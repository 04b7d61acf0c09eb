#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a FlatBuffer with the identifier of ONNX Runtime.
bool LooksLikeOrt(const FileEnds& file);

// ONNX Runtime's own format: a FlatBuffer after
// https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/flatbuffers/schema/ort.fbs.
// Where the tensors lie is not told.
model::Facts ParseOrt(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
