#pragma once

#include "agent/formats/reading/cursor.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// A zip archive, as torch.save writes since 1.6: https://github.com/pytorch/pytorch,
// torch/serialization.py and caffe2/serialize/inline_container.h. Every member that begins like a
// pickle is walked, whatever it is called. An archive without any pickle is no model of ours:
// kUnknown.
model::Facts ParsePyTorchZip(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
