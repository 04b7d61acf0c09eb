#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// A zip archive, of whichever kind its members show (zip_package.h). One that is of no kind is no
// model: kUnknown, unless a pickle in it is a danger to whoever unpacks and loads it, or its end
// was not reached.
model::Facts ParseZip(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
