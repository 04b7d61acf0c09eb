#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "agent/formats/reading/cursor.h"

namespace weighmaster::agent::formats {

// Bytes of the file.
struct Hdf5Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// Whether none of these reads failed. Each has to be asked: near the end of a file a narrow number
// is still read where a wide one before it was not.
template <typename... Value>
bool AllRead(const std::optional<Value>&... values) {
  return (values.has_value() && ...);
}

// The numbers of an HDF5 file, all little-endian: how wide addresses and lengths are stands in its
// superblock, and addresses count from there. The cursor must outlive it.
class Hdf5Bytes {
 public:
  // What stands for no address.
  static constexpr std::uint64_t kNowhere = UINT64_MAX;

  explicit Hdf5Bytes(Cursor& cursor) : cursor_(cursor) {}

  Cursor& cursor() const { return cursor_; }
  std::size_t address_bytes() const { return address_bytes_; }
  std::size_t length_bytes() const { return length_bytes_; }
  void set_widths(std::size_t address_bytes, std::size_t length_bytes) {
    address_bytes_ = address_bytes;
    length_bytes_ = length_bytes;
  }
  void set_base(std::uint64_t base) { base_ = base; }

  // Of at most eight bytes.
  std::optional<std::uint64_t> Number(std::size_t bytes) {
    std::array<std::uint8_t, 8> raw{};
    if (bytes > raw.size() || !cursor_.Read(std::span(raw).first(bytes))) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = bytes; i-- > 0;) value = (value << 8) | raw[i];
    return value;
  }
  std::optional<std::uint64_t> Length() { return Number(length_bytes_); }
  // As an offset in the file, which may lie past its end; or kNowhere.
  std::optional<std::uint64_t> Address() {
    const auto address = Number(address_bytes_);
    if (!address.has_value()) return std::nullopt;
    const std::uint64_t undefined = kNowhere >> (64 - 8 * address_bytes_);
    std::uint64_t place = 0;
    if (*address == undefined) return kNowhere;
    return __builtin_add_overflow(base_, *address, &place) ? kNowhere - 1 : place;
  }

  // Goes to `place` and takes these bytes.
  bool TakeSignature(std::uint64_t place, std::string_view signature) {
    return cursor_.Seek(place) &&
           cursor_.Text(signature.size(), signature.size()) == std::optional(signature);
  }

 private:
  Cursor& cursor_;
  std::size_t address_bytes_ = 8;
  std::size_t length_bytes_ = 8;
  std::uint64_t base_ = 0;
};

}  // namespace weighmaster::agent::formats
