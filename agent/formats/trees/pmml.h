#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a PMML document: an element <PMML> with a version.
bool LooksLikePmml(const FileEnds& file);

// PMML, versions 1 to 4: https://dmg.org/pmml/v4-4-1/GeneralStructure.html. Read to its first
// model, which may be of any size, and looked at where it ends.
model::Facts ParsePmml(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
