#pragma once

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a GGUF file of any size, version and byte order (and not a text that
// begins with those four letters).
bool LooksLikeGguf(const FileEnds& file);

// GGUF versions 1 to 3 in both byte orders:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md with the checks that llama.cpp makes
// when it loads one.
model::Facts ParseGguf(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
