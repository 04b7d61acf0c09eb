#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agent/formats/reading/byte_source.h"
#include "agent/formats/reading/work_budget.h"
#include "policy/base/bytes.h"
#include "policy/base/limits.h"

namespace weighmaster::agent::formats {

enum class ReadFailure : std::uint8_t {
  kNone = 0,
  kEnd,     // past the end of the range
  kBudget,  // limits::kMaxParseWork is spent
  kInput,   // the source could not be read
};
std::string_view ReadFailureText(ReadFailure failure);

// Reads forward through a range of a source with one small buffer. Every read is checked against
// the range; a failed one returns nothing, moves nothing and leaves its reason in failure().
// Skipping costs nothing but the next refill, which is small after a jump and grows while reading
// goes straight on. Source and budget must outlive it.
class Cursor {
 public:
  Cursor(ByteSource& source, WorkBudget& budget);
  Cursor(ByteSource& source, WorkBudget& budget, std::uint64_t begin, std::uint64_t end);

  std::uint64_t offset() const { return offset_; }
  std::uint64_t end() const { return end_; }
  std::uint64_t remaining() const { return end_ - offset_; }
  ReadFailure failure() const { return failure_; }
  ByteSource& source() { return source_; }
  WorkBudget& budget() const { return budget_; }

  // For the integers below; little unless a format says otherwise.
  void set_order(std::endian order) { order_ = order; }

  std::optional<std::uint8_t> U8();
  std::optional<std::uint16_t> U16();
  std::optional<std::uint32_t> U32();
  std::optional<std::uint64_t> U64();

  bool Skip(std::uint64_t count);
  // Anywhere in [0, end].
  bool Seek(std::uint64_t offset);
  // All of `out`, or false.
  bool Read(std::span<std::uint8_t> out);
  // Moves over `length` bytes and returns the first `keep` of them.
  std::optional<std::string> Text(std::uint64_t length, std::size_t keep);
  // Moves over the next '\n' and returns what was before it, the first `keep` bytes of it.
  std::optional<std::string> Line(std::size_t keep);
  // Up to `count` of the bytes that come next, fewer near the end; valid until the next call.
  // `count` is at most kPeekBytes.
  static constexpr std::size_t kPeekBytes = 64 * base::limits::kKiB;
  base::ByteView Peek(std::size_t count);

 private:
  base::ByteView Buffered() const;
  bool Fill(std::size_t least);
  template <typename Integer>
  std::optional<Integer> ReadInteger();

  ByteSource& source_;
  WorkBudget& budget_;
  std::uint64_t end_;
  std::uint64_t offset_;
  std::endian order_ = std::endian::little;
  ReadFailure failure_ = ReadFailure::kNone;

  // The bytes of the source at [buffer_begin_, buffer_begin_ + buffer_.size()).
  base::Bytes buffer_;
  std::uint64_t buffer_begin_ = 0;
  std::size_t refill_;
};

}  // namespace weighmaster::agent::formats
