#pragma once

#include <cstdint>
#include <span>

#include "policy/base/bytes.h"
#include "policy/base/result.h"

namespace weighmaster::agent::formats {

// Where a parser's bytes come from: a file in the cage, a buffer in tests and fuzzers. Parsers do
// no I/O of their own. Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Fixed when the source was opened.
  virtual std::uint64_t size() const = 0;

  // Fills `out` from `offset` and returns how many bytes there were: less than asked for only at
  // the end, 0 at or past it. An error is an I/O error (DATA_LOSS) or the file shrinking meanwhile.
  virtual base::Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
};

// A buffer that the caller keeps alive.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(base::ByteView bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  base::Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) override;

 private:
  base::ByteView bytes_;
};

// A part of another source, which must outlive it; what would lie past that one's end is not there.
class RangeSource final : public ByteSource {
 public:
  RangeSource(ByteSource& source, std::uint64_t begin, std::uint64_t bytes);
  std::uint64_t size() const override { return bytes_; }
  base::Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) override;

 private:
  ByteSource& source_;
  std::uint64_t begin_;
  std::uint64_t bytes_;
};

}  // namespace weighmaster::agent::formats
