#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "agent/weights/weights_hasher.h"

namespace {

using weighmaster::agent::formats::TensorMap;

constexpr std::uint64_t kMostHashed = 1 << 16;

void Hash(TensorMap map, std::uint64_t file_bytes) {
  using weighmaster::agent::weights::WeightsHasher;
  WeightsHasher hasher(std::move(map));
  const weighmaster::base::Bytes zeros(static_cast<std::size_t>(file_bytes));
  hasher.Update(zeros);
  const auto tensors = std::move(hasher).Finish(
      [file_bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> weighmaster::base::Status {
        if (offset > file_bytes || out.size() > file_bytes - offset) std::abort();
        return {};
      });
  if (!tensors.has_value() || tensors->empty()) std::abort();
}

}  // namespace

// Any bytes as what the cage says of a file's tensors, behind the file's size: what is let through
// lies in the file and can be hashed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  std::uint64_t file_bytes = 0;
  for (std::size_t i = 8; i-- > 0;) file_bytes = (file_bytes << 8) | data[i];
  const auto map = TensorMap::Decode({data + 8, size - 8}, file_bytes);
  if (!map.has_value()) return 0;
  for (std::size_t i = 0; i < map->size(); ++i) {
    if (map->EndAt(i) > file_bytes || map->BeginAt(i) >= map->EndAt(i)) std::abort();
  }
  const bool holds = map->reason() == weighmaster::model::WeightsReason::kNone;
  if (holds == (map->size() == 0)) std::abort();
  if (holds && file_bytes <= kMostHashed &&
      weighmaster::agent::weights::CheckWork(*map, file_bytes) ==
          weighmaster::model::WeightsReason::kNone) {
    Hash(*map, file_bytes);
  }
  return 0;
}
