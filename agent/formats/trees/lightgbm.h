#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the text is a LightGBM model: the line "tree", then one that gives a version or the
// number of classes.
bool LooksLikeLightGbm(const FileEnds& file);

// LightGBM's text format, versions 1 to 4, with what GBDT::LoadModelFromString demands:
// https://github.com/microsoft/LightGBM/blob/master/src/boosting/gbdt_model_text.cpp. Trees are
// passed over by the sizes that the header gives.
model::Facts ParseLightGbm(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
