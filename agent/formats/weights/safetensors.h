#pragma once

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a safetensors file: a length that the format allows, then what begins a
// JSON object that lies within the file. Where the length leads out of the file or is one that the
// format forbids, the object itself has to show that it is such a header, by its first name; one
// that the file was cut off in, as far as it goes.
bool LooksLikeSafetensors(const FileEnds& file);

// https://github.com/huggingface/safetensors, with the checks of its own reader: a header of at
// most 100 MB, no name twice, sizes that follow from shape and type, offsets that leave no gap, and
// not a byte after the last tensor.
model::Facts ParseSafetensors(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
