#include "agent/formats/pickle/legacy_storages.h"

#include <map>
#include <string_view>

namespace weighmaster::agent::formats {

void MapLegacyStorages(const PickleTensors& tensors, Cursor& cursor, std::uint64_t begin,
                       TensorMapWriter& map) {
  struct Storage {
    std::uint64_t element_bytes = 0;
    std::uint64_t elements = 0;
    std::uint64_t begin = 0;
  };
  std::map<std::string_view, Storage> storages;
  for (const StoredTensor& stored : tensors.stored) {
    const Storage said{stored.element_bytes, stored.storage_elements, 0};
    const Storage& first = storages.emplace(stored.key, said).first->second;
    if (first.element_bytes != said.element_bytes || first.elements != said.elements) {
      return map.Fail(model::WeightsReason::kIncomplete);
    }
  }
  bool there = cursor.Seek(begin);
  for (auto& [key, storage] : storages) {
    there = there && cursor.U64() == storage.elements;
    storage.begin = cursor.offset();
    std::uint64_t bytes = 0;
    there = there && !__builtin_mul_overflow(storage.elements, storage.element_bytes, &bytes) &&
            cursor.Skip(bytes);
  }
  // Others that no tensor names would stand between them.
  if (!there || cursor.remaining() != 0) return map.Fail(model::WeightsReason::kIncomplete);
  for (const StoredTensor& stored : tensors.stored) {
    AddStored(stored, storages.at(stored.key).begin, map);
  }
}

}  // namespace weighmaster::agent::formats
