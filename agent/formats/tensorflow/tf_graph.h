#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file begins like a GraphDef with a node: a name and an operator that TensorFlow
// takes.
bool LooksLikeTfGraph(const FileEnds& file);

// A graph on its own, in most cases one that was frozen with its weights as constants:
// https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/graph.proto.
// kUnknown when it is another protobuf, or a graph without any operator that graphs have.
model::Facts ParseTfGraph(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
