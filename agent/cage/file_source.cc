#include "agent/cage/file_source.h"

#include <algorithm>
#include <cstring>

#include "agent/os/open_file.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::cage {
namespace {

constexpr std::size_t kWindowBytes = 4 * base::limits::kKiB;

}  // namespace

base::Result<std::size_t> FileSource::ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset >= size_ || out.empty()) return std::size_t{0};
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset));
  out = out.first(wanted);
  if (wanted >= kWindowBytes) return ReadExactly(offset, out);

  const bool inside = offset >= window_at_ && offset - window_at_ <= window_.size() &&
                      window_.size() - (offset - window_at_) >= wanted;
  if (!inside) {
    window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kWindowBytes, size_ - offset)));
    window_at_ = offset;
    base::Result<std::size_t> filled = ReadExactly(offset, window_);
    if (!filled.has_value()) {
      window_.clear();
      return filled;
    }
  }
  std::memcpy(out.data(), window_.data() + (offset - window_at_), wanted);
  return wanted;
}

base::Result<std::size_t> FileSource::ReadExactly(std::uint64_t offset,
                                                  std::span<std::uint8_t> out) const {
  WM_ASSIGN_OR_RETURN(const std::size_t n, os::ReadAt(fd_, offset, out.data(), out.size()));
  if (n != out.size()) return base::DataLoss("the file became shorter while it was read");
  return n;
}

}  // namespace weighmaster::agent::cage
