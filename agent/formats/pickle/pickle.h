#pragma once

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file begins as PyTorch wrote before 1.6: https://github.com/pytorch/pytorch,
// torch/serialization.py, _legacy_save.
bool LooksLikePyTorchLegacy(const FileEnds& file);

// A bare pickle: of any protocol, several in a row, PyTorch's format before 1.6 (five pickles and
// then the weights), or what joblib writes without compression.
model::Facts ParsePickle(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
