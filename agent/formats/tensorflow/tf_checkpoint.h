#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file ends like a table of TensorFlow, which is LevelDB's, and begins with the entry
// that only a checkpoint has: an empty key with a bundle's header.
bool LooksLikeTfCheckpoint(const FileEnds& file);

// The index of a TensorFlow checkpoint (.index), which says where each tensor lies in the data
// files beside it:
// https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/tensor_bundle.proto
// in a table of tensorflow/core/lib/io/format.h and table_builder.cc (tsl/lib/io today). Checksums
// are not computed. kUnknown when it is another table.
model::Facts ParseTfCheckpoint(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
