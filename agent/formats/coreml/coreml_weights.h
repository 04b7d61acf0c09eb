#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file begins like a storage of blobs: a count, version 2, and the mark of the first
// blob's description with data right behind it.
bool LooksLikeCoreMlWeights(const FileEnds& file);

// The weights beside a Core ML program (weights/weight.bin), "MIL blob storage":
// https://github.com/apple/coremltools/blob/main/mlmodel/src/MILBlob/Blob/StorageFormat.hpp. It
// knows types and bytes of its blobs; names and extents stand in the program.
model::Facts ParseCoreMlWeights(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
