#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/formats/tensors/tensor_map.h"

namespace weighmaster::agent::formats {

// A tensor that a checkpoint rebuilds, by the storage that torch keeps beside the pickle.
struct StoredTensor {
  std::string key;  // of its storage
  // Of the storage, as the pickle says; an untyped one counts bytes.
  std::uint64_t storage_elements = 0;
  std::uint64_t element_bytes = 1;
  Tensor tensor;  // `begin` counts from the storage's first byte
};

// Of the whole storage; nothing when 64 bits do not count them.
std::optional<std::uint64_t> StorageBytes(const StoredTensor& stored);

// Tells `map` of a tensor whose storage begins there; or, as torch would refuse it, that the map is
// not whole: when it leaves its storage.
void AddStored(const StoredTensor& stored, std::uint64_t storage_begin, TensorMapWriter& map);

}  // namespace weighmaster::agent::formats
