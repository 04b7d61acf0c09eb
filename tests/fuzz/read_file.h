#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/work_budget.h"
#include "agent/formats/tensors/tensor_map.h"
#include "policy/model/artifact.h"

namespace weighmaster::fuzz {

// Any bytes as a file of one format: whatever they say, it ends within the budget and its memory,
// and what is said of its tensors can be read.
template <typename Parse>
void ReadFile(Parse parse, const std::uint8_t* data, std::size_t size) {
  agent::formats::MemorySource source({data, size});
  agent::formats::WorkBudget budget(50'000'000);
  agent::formats::TensorMapWriter tensors(true);
  parse(source, budget, tensors);
  if (!agent::formats::TensorMap::Decode(std::move(tensors).Take(), size).has_value()) std::abort();
}

}  // namespace weighmaster::fuzz
