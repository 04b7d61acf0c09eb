#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a serialised TensorRT engine: its mark, alone or behind the metadata that
// Ultralytics puts before it.
bool LooksLikeTensorRt(const FileEnds& file);

// An engine is a plan for one kind of GPU in a form that NVIDIA does not describe; its mark is
// known (https://github.com/lutzroeder/netron/blob/main/source/tensorrt.js). What stands before it
// is described by the exporter that writes it: a 32-bit length and a JSON object
// (https://github.com/ultralytics/ultralytics, ultralytics/engine/exporter.py).
model::Facts ParseTensorRt(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
