#include "agent/formats/reading/byte_source.h"

#include <algorithm>

namespace weighmaster::agent::formats {

base::Result<std::size_t> MemorySource::ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset >= bytes_.size()) return std::size_t{0};
  const std::size_t count = std::min(out.size(), bytes_.size() - static_cast<std::size_t>(offset));
  std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
  return count;
}

}  // namespace weighmaster::agent::formats
