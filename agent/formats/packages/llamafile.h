#pragma once

#include "agent/formats/reading/cursor.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// Whether the file is a program, in the form that runs on every system or in one system's own, with
// a zip archive at its very end.
bool LooksLikeLlamafile(const FileEnds& file);

// A program that carries the model it runs, https://github.com/mozilla-ai/llamafile: an Actually
// Portable Executable, https://justine.lol/ape.html, behind which stands a zip archive with a GGUF
// file. Other programs with an archive behind them (installers, Python's zipapps) are kUnknown.
model::Facts ParseLlamafile(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors);

}  // namespace weighmaster::agent::formats
