#pragma once

#include <cstdint>
#include <vector>

#include "agent/formats/reading/byte_source.h"

namespace weighmaster::agent::cage {

// A regular file by its descriptor, which stays the caller's. Small reads are served from a window,
// because a parser asks for eight bytes at a time and each pread would be a system call.
class FileSource final : public formats::ByteSource {
 public:
  FileSource(int fd, std::uint64_t size) : fd_(fd), size_(size) {}
  std::uint64_t size() const override { return size_; }
  base::Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) override;

 private:
  base::Result<std::size_t> ReadExactly(std::uint64_t offset, std::span<std::uint8_t> out) const;

  const int fd_;
  const std::uint64_t size_;
  std::vector<std::uint8_t> window_;
  std::uint64_t window_at_ = 0;
};

}  // namespace weighmaster::agent::cage
