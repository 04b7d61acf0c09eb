#include "agent/formats/reading/cursor.h"

#include <algorithm>
#include <array>

namespace weighmaster::agent::formats {
namespace {

// Small, because a file with many parts is read at as many places.
constexpr std::size_t kFirstRefill = 1 * base::limits::kKiB;

}  // namespace

std::string_view ReadFailureText(ReadFailure failure) {
  switch (failure) {
    case ReadFailure::kNone:
      return "nothing failed";
    case ReadFailure::kEnd:
      return "the file ends too early";
    case ReadFailure::kBudget:
      return "it takes more work than a model file should";
    case ReadFailure::kInput:
      return "the file could not be read";
  }
  return "unknown";
}

Cursor::Cursor(ByteSource& source, WorkBudget& budget) : Cursor(source, budget, 0, source.size()) {}

Cursor::Cursor(ByteSource& source, WorkBudget& budget, std::uint64_t begin, std::uint64_t end)
    : source_(source),
      budget_(budget),
      end_(std::min(end, source.size())),
      offset_(std::min(begin, end_)),
      buffer_begin_(offset_),
      refill_(kFirstRefill) {}

base::ByteView Cursor::Buffered() const {
  if (offset_ < buffer_begin_ || offset_ - buffer_begin_ >= buffer_.size()) return {};
  return base::ByteView(buffer_).subspan(static_cast<std::size_t>(offset_ - buffer_begin_));
}

bool Cursor::Fill(std::size_t least) {
  if (budget_.spent()) {
    failure_ = ReadFailure::kBudget;
    return false;
  }
  if (Buffered().size() >= least) return true;
  if (remaining() < least) {
    failure_ = ReadFailure::kEnd;
    return false;
  }
  const bool straight_on = offset_ >= buffer_begin_ && offset_ <= buffer_begin_ + buffer_.size();
  refill_ = straight_on ? std::min(refill_ * 2, kPeekBytes) : kFirstRefill;
  const std::uint64_t wanted =
      std::min<std::uint64_t>(std::max<std::uint64_t>(refill_, least), remaining());
  budget_.Take(work::kRefill + wanted * work::kByte);
  if (budget_.spent()) {
    failure_ = ReadFailure::kBudget;
    return false;
  }
  buffer_.resize(static_cast<std::size_t>(wanted));
  buffer_begin_ = offset_;
  const base::Result<std::size_t> got = source_.ReadAt(offset_, buffer_);
  buffer_.resize(got.has_value() ? std::min(*got, buffer_.size()) : 0);
  if (buffer_.size() >= least) return true;
  failure_ = ReadFailure::kInput;
  return false;
}

template <typename Integer>
std::optional<Integer> Cursor::ReadInteger() {
  if (!Fill(sizeof(Integer))) return std::nullopt;
  const base::ByteView bytes = Buffered();
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    const std::size_t at = order_ == std::endian::little ? sizeof(Integer) - 1 - i : i;
    value = (value << 8) | bytes[at];
  }
  offset_ += sizeof(Integer);
  return static_cast<Integer>(value);
}

std::optional<std::uint8_t> Cursor::U8() { return ReadInteger<std::uint8_t>(); }
std::optional<std::uint16_t> Cursor::U16() { return ReadInteger<std::uint16_t>(); }
std::optional<std::uint32_t> Cursor::U32() { return ReadInteger<std::uint32_t>(); }
std::optional<std::uint64_t> Cursor::U64() { return ReadInteger<std::uint64_t>(); }

bool Cursor::Skip(std::uint64_t count) {
  if (count > remaining()) {
    failure_ = ReadFailure::kEnd;
    return false;
  }
  offset_ += count;
  return true;
}

bool Cursor::Seek(std::uint64_t offset) {
  if (offset > end_) {
    failure_ = ReadFailure::kEnd;
    return false;
  }
  offset_ = offset;
  return true;
}

bool Cursor::Read(std::span<std::uint8_t> out) {
  if (out.size() > remaining()) {
    failure_ = ReadFailure::kEnd;
    return false;
  }
  while (!out.empty()) {
    if (!Fill(1)) return false;
    const std::size_t count = std::min(out.size(), Buffered().size());
    std::copy_n(Buffered().begin(), count, out.begin());
    offset_ += count;
    out = out.subspan(count);
  }
  return true;
}

std::optional<std::string> Cursor::Text(std::uint64_t length, std::size_t keep) {
  if (length > remaining()) {
    failure_ = ReadFailure::kEnd;
    return std::nullopt;
  }
  const std::uint64_t after = offset_ + length;
  std::string text;
  while (offset_ < after && text.size() < keep) {
    if (!Fill(1)) return std::nullopt;
    const std::uint64_t count =
        std::min<std::uint64_t>({Buffered().size(), after - offset_, keep - text.size()});
    text += base::AsText(Buffered().first(static_cast<std::size_t>(count)));
    offset_ += count;
  }
  offset_ = after;
  return text;
}

std::optional<std::string> Cursor::Line(std::size_t keep) {
  std::string line;
  while (Fill(1)) {
    const std::string_view rest = base::AsText(Buffered());
    const std::size_t newline = rest.find('\n');
    const std::string_view part = rest.substr(0, newline);
    line += part.substr(0, keep - line.size());
    offset_ += part.size();
    if (newline == std::string_view::npos) continue;
    ++offset_;
    return line;
  }
  return std::nullopt;
}

base::ByteView Cursor::Peek(std::size_t count) {
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>({count, remaining(), kPeekBytes}));
  if (wanted == 0 || !Fill(wanted)) return {};
  return Buffered().first(wanted);
}

}  // namespace weighmaster::agent::formats
