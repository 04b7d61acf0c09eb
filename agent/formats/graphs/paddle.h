#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file begins like a ProgramDesc (its first block with a variable or an operator) or
// like a tensor as Paddle saves it (versions of 0 around no levels, then a TensorDesc).
bool LooksLikePaddle(const FileEnds& file);

// PaddlePaddle's two files: the program (.pdmodel, __model__), a ProgramDesc of
// https://github.com/PaddlePaddle/Paddle/blob/develop/paddle/phi/core/framework/framework.proto,
// and the parameters (.pdiparams, __params__, or a file for each), tensors in a row as
// dense_tensor_serialize.cc beside it writes them, without their names. kUnknown when the file is
// another protobuf.
model::Facts ParsePaddle(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
