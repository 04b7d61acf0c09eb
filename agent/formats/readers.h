#pragma once

#include <span>

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/file_ends.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// How the files of one format, or of a few that begin alike, are recognised and read.
struct Reader {
  // What a file is called that could not be read; the first of those that `parse` tells apart.
  model::Format format = model::Format::kUnknown;
  // Whether a file with these ends may be one. Compares bytes and goes over what lies in them,
  // reads nothing else and allocates nothing: it runs outside the cage.
  bool (*looks_like)(const FileEnds& file) = nullptr;
  // The file's facts; kUnknown when it is none after all. `tensors` is told where its tensors lie.
  model::Facts (*parse)(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) = nullptr;
};

// In the order in which they are tried.
std::span<const Reader> Readers();

}  // namespace weighmaster::agent::formats
