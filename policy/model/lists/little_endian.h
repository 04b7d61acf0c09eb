#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/base/bytes.h"

namespace weighmaster::model {

// Unsigned integers as the encodings of this room write them: little-endian, of their own size.

template <typename T>
void AppendInteger(base::Bytes& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

// All of it must lie within the bytes.
template <typename T>
T ReadInteger(base::ByteView bytes, std::size_t offset) {
  T value = 0;
  for (std::size_t i = sizeof value; i-- > 0;) {
    value = static_cast<T>((value << 8) | bytes[offset + i]);
  }
  return value;
}

}  // namespace weighmaster::model
