#pragma once

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the bytes begin a model in one of ggml's formats before GGUF: the mark of `ggml`, `ggmf`,
// `ggjt` or `ggla` (a LoRA), then numbers that may be a model's. Saved sessions (`ggsn`, `ggsq`)
// are no models.
bool LooksLikeGgml(const FileEnds& file);

// The formats have no definition but their writers and loaders: llama.cpp before August 2023
// (llama.cpp and convert-lora-to-ggml.py there), the examples of
// https://github.com/ggml-org/ggml, https://github.com/ggml-org/whisper.cpp/tree/master/models, and
// https://github.com/rustformers/llm, crates/ggml/src/format. A file does not say of which family
// it is: those that are known are tried on its words and its first tensor. Of a file of none of
// them is said what it is and no more.
model::Facts ParseGgml(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
