#pragma once

#include <cstdint>
#include <span>

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/base/bytes.h"
#include "policy/model/artifact.h"

namespace weighmaster::agent::formats {

// How the files of one format are recognised and read.
struct Reader {
  model::Format format = model::Format::kUnknown;
  // Whether a file of `file_size` bytes that begins with `head` may be one. Compares bytes and goes
  // over what lies in `head`, reads nothing else and allocates nothing: it runs outside the cage.
  bool (*looks_like)(base::ByteView head, std::uint64_t file_size) = nullptr;
  // The file's facts; kUnknown when it is none after all. `tensors` is told where its tensors lie.
  model::Facts (*parse)(ByteSource& source, WorkBudget& budget, TensorMapWriter& tensors) = nullptr;
};

// One for each format but kUnknown, in the order in which they are tried.
std::span<const Reader> Readers();

}  // namespace weighmaster::agent::formats
