#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a FlatBuffer whose root can be a Net of MNN: its vtable and fields are of
// the kinds and at the places that every builder of FlatBuffers gives them, and it has operators
// and names of tensors. The format has no identifier.
bool LooksLikeMnn(const FileEnds& whole);

// MNN: a FlatBuffer after https://github.com/alibaba/MNN/blob/master/schema/default/MNN.fbs. Large
// models keep their weights in a second file beside it. Where the tensors lie is not told.
// kUnknown unless the operators are ones of MNN.
model::Facts ParseMnn(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
