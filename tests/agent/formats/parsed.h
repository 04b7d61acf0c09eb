#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/formats/recognise.h"
#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {

// A file's bytes, counting how many of them were asked for.
class CountedSource final : public ByteSource {
 public:
  // `size` past the bytes: the file goes on with zeros, as a sparse one does.
  explicit CountedSource(base::ByteView bytes, std::uint64_t size = 0)
      : bytes_(bytes), size_(std::max<std::uint64_t>(size, bytes.size())) {}

  std::uint64_t size() const override { return size_; }
  base::Result<std::size_t> ReadAt(std::uint64_t offset, std::span<std::uint8_t> out) override {
    if (offset >= size_) return std::size_t{0};
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset));
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = offset + i < bytes_.size() ? bytes_[static_cast<std::size_t>(offset) + i] : 0;
    }
    bytes_read_ += count;
    return count;
  }
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  base::ByteView bytes_;
  std::uint64_t size_;
  std::uint64_t bytes_read_ = 0;
};

inline model::Format SniffBytes(base::ByteView bytes) {
  const std::size_t head = std::min(bytes.size(), kSniffHeadBytes);
  const std::size_t tail = std::min(bytes.size(), kSniffTailBytes);
  return Sniff({bytes.first(head), bytes.last(tail), bytes.size()});
}

inline model::Facts ParseBytes(base::ByteView bytes) {
  MemorySource source(bytes);
  return Parse(source);
}

inline model::Facts ParseText(std::string_view text) { return ParseBytes(base::AsBytes(text)); }

// Nothing when the file does not carry the risk.
inline const model::Risk* FindRisk(const model::Facts& facts, std::string_view id) {
  for (const model::Risk& risk : facts.risks) {
    if (risk.id == id) return &risk;
  }
  return nullptr;
}

inline bool HasRisk(const model::Facts& facts, std::string_view id, model::Severity severity) {
  const auto same = [&](const model::Risk& risk) {
    return risk.id == id && risk.severity == severity;
  };
  return std::any_of(facts.risks.begin(), facts.risks.end(), same);
}

inline model::Severity WorstSeverity(const model::Facts& facts) {
  return facts.risks.empty() ? model::Severity::kInfo : facts.risks.front().severity;
}

}  // namespace weighmaster::agent::formats
