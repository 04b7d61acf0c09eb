#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin the description of an ncnn model (.param or .param.bin): its number, as
// text or binary, then the counts of layers and blobs, then a layer. The weights beside it (.bin)
// have no mark.
bool LooksLikeNcnn(const FileEnds& file);

// https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure, with the checks that
// Net::load_param and Net::load_param_bin make (src/net.cpp there). It names no model and holds no
// weights, so there are no facts but what it is.
model::Facts ParseNcnn(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
