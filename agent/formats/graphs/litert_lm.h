#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin with the magic number and a version of a LiteRT-LM bundle.
bool LooksLikeLitertLm(const FileEnds& file);

// LiteRT-LM: a language model's TensorFlow Lite models, tokenizer and settings as sections of one
// file, behind a FlatBuffer after
// https://github.com/google-ai-edge/LiteRT-LM/blob/main/schema/core/litertlm_header_schema.fbs. The
// models are read, other sections are not looked into. Where the tensors lie is not told.
model::Facts ParseLitertLm(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
