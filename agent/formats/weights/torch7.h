#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin what Lua Torch saves in its binary form: an object of a class with a
// version, or a table in which one comes, or a function, before the head ends.
bool LooksLikeTorch7(const FileEnds& file);

// Lua Torch's binary serialisation:
// https://github.com/torch/torch7/blob/master/File.lua and the `read` of tensors and storages in
// generic/Tensor.c and generic/Storage.c there. Elements are passed over by seeking. Functions are
// Lua bytecode, which nothing here can judge.
model::Facts ParseTorch7(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
