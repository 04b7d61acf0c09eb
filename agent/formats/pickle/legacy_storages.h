#pragma once

#include <cstdint>

#include "agent/formats/pickle/machine.h"
#include "agent/formats/reading/cursor.h"
#include "agent/formats/tensors/tensor_map.h"

namespace weighmaster::agent::formats {

// Tells `map` where the tensors of a file of PyTorch before 1.6 lie. Behind its pickles, from
// `begin` on, stand the storages that they name, in the order of their keys: each the number of its
// elements (i64), then the elements. torch/serialization.py, _legacy_save.
void MapLegacyStorages(const PickleTensors& tensors, Cursor& cursor, std::uint64_t begin,
                       TensorMapWriter& map);

}  // namespace weighmaster::agent::formats
