#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a model for Rockchip's NPUs: "RKNN" with a version, "RKNX", a FlatBuffer
// with the identifier "RKNN", or "CYPTRKNN" for an encrypted one.
bool LooksLikeRknn(const FileEnds& file);

// RKNN, which Rockchip does not describe: the container as netron reads it
// (https://github.com/lutzroeder/netron/blob/main/source/rknn.js). Data, then a JSON object that
// names the model. An encrypted model is opaque.
model::Facts ParseRknn(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
