#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin an XGBoost model: an object whose member "learner" begins with one of the
// members of a learner, in JSON or UBJSON, or the binary form before 3.1 with objective and booster
// where they have to be.
bool LooksLikeXgBoost(const FileEnds& file);

// XGBoost models: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html, with the
// members that the library reads (https://github.com/dmlc/xgboost, src/learner.cc). Of the binary
// form only the beginning is read. kUnknown for a saved configuration, which holds no trees.
model::Facts ParseXgBoost(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
