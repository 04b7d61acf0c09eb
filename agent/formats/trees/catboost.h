#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a CatBoost model (.cbm): "CBM1", a size, and the root of a FlatBuffer.
bool LooksLikeCatBoost(const FileEnds& file);

// CatBoost's binary format: TFullModel::Save in catboost/libs/model/model.cpp and TModelCore in
// catboost/libs/model/flatbuffers/model.fbs of https://github.com/catboost/catboost. Of the core
// its version and the parts that follow it are read; it names no model.
model::Facts ParseCatBoost(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
