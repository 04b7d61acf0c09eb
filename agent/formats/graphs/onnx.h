#pragma once

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin like an ONNX ModelProto: fields that it has, of the right kinds and
// within the file. Goes over the fields that begin within `head`.
bool LooksLikeOnnx(const FileEnds& file);

// ONNX: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Weights are passed over by seeking.
// kUnknown when the file is another protobuf.
model::Facts ParseOnnx(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
