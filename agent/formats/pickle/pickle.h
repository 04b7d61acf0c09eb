#pragma once

#include "agent/formats/reading/cursor.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// A bare pickle: of any protocol, several in a row, or PyTorch's format before 1.6 (five pickles
// and then the weights).
model::Facts ParsePickle(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
