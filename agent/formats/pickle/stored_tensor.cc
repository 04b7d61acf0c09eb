#include "agent/formats/pickle/stored_tensor.h"

namespace weighmaster::agent::formats {

std::optional<std::uint64_t> StorageBytes(const StoredTensor& stored) {
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(stored.storage_elements, stored.element_bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

void AddStored(const StoredTensor& stored, std::uint64_t storage_begin, TensorMapWriter& map) {
  Tensor tensor = stored.tensor;
  const auto bytes = StorageBytes(stored);
  const auto span = SpanOf(tensor);
  if (!span.has_value()) return map.Fail(model::WeightsReason::kRepeats);
  if (!bytes.has_value() || tensor.begin > *bytes || *span > *bytes - tensor.begin ||
      __builtin_add_overflow(tensor.begin, storage_begin, &tensor.begin)) {
    return map.Fail(model::WeightsReason::kIncomplete);
  }
  map.Add(tensor);
}

}  // namespace weighmaster::agent::formats
