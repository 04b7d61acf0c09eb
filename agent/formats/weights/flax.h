#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a Flax state: MessagePack maps with texts for keys, and in them, before
// the head ends, an array as Flax writes it. Other MessagePack is none.
bool LooksLikeFlax(const FileEnds& file);

// Flax's serialisation: https://github.com/google/flax/blob/main/flax/serialization.py on
// https://github.com/msgpack/msgpack/blob/master/spec.md. Elements are passed over by seeking.
model::Facts ParseFlax(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
