#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file begins like a SavedModel: its schema version, if any, and a meta graph that says
// for what it was made or begins with a graph.
bool LooksLikeTfSavedModel(const FileEnds& file);

// TensorFlow's saved_model.pb:
// https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/saved_model.proto,
// meta_graph.proto, saver.proto, saved_object_graph.proto beside it. Of several meta graphs the
// tensors are told of the one that has most. kUnknown when it is another protobuf.
model::Facts ParseTfSavedModel(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
