#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a FlatBuffer with an identifier of ExecuTorch: that of today, or another
// one with the extended header that programs have beside it.
bool LooksLikeExecutorch(const FileEnds& file);

// ExecuTorch programs (.pte): a FlatBuffer after
// https://github.com/pytorch/executorch/blob/main/schema/program.fbs, mostly with an extended
// header and segments of data behind it
// (https://github.com/pytorch/executorch/blob/main/docs/source/pte-file-format.md). What backends
// made of a graph for themselves is not read, so of a program that has such parts the constants are
// not told. Where the tensors lie is not told either.
model::Facts ParseExecutorch(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
