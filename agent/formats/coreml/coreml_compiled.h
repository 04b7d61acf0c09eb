#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file begins like the text of a MIL program: `program(1.3)`, then what it was built
// with, or a function.
bool LooksLikeCoreMlCompiled(const FileEnds& file);

// The program of a compiled Core ML model (model.mil in a .mlmodelc), a text that Core ML's
// compiler writes. There is no definition of it; this follows the messages that it spells out,
// https://github.com/apple/coremltools/blob/main/mlmodel/format/MIL.proto, and what the compiler
// writes. Weights lie in another file and are counted by what the program says of them.
model::Facts ParseCoreMlCompiled(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
