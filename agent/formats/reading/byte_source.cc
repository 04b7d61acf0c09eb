#include "agent/formats/reading/byte_source.h"

#include <algorithm>

namespace weighmaster::agent::formats {

base::Result<std::size_t> MemorySource::ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset >= bytes_.size()) return std::size_t{0};
  const std::size_t count = std::min(out.size(), bytes_.size() - static_cast<std::size_t>(offset));
  std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
  return count;
}

RangeSource::RangeSource(ByteSource& source, std::uint64_t begin, std::uint64_t bytes)
    : source_(source),
      begin_(std::min(begin, source.size())),
      bytes_(std::min(bytes, source.size() - begin_)) {}

base::Result<std::size_t> RangeSource::ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset >= bytes_) return std::size_t{0};
  const std::uint64_t left = bytes_ - offset;
  return source_.ReadAt(begin_ + offset, out.first(std::min<std::uint64_t>(out.size(), left)));
}

}  // namespace weighmaster::agent::formats
