#pragma once

#include <cstdint>
#include <optional>

#include "agent/formats/reading/cursor.h"

namespace weighmaster::agent::formats {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field of a protobuf message: its number, and either its value (varint) or where its bytes
// are.
struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;
  std::uint64_t value = 0;
  std::uint64_t begin = 0;  // of the bytes, for all types but varint
  std::uint64_t end = 0;    // where the next field begins
};

// https://protobuf.dev/programming-guides/encoding/: a base-128 number of at most ten bytes.
std::optional<std::uint64_t> ReadVarint(Cursor& cursor);

// Goes through the fields of the message at [cursor.offset(), end) in the order of their bytes. No
// field is believed to reach past the message. Every Next() begins where the last field ended,
// wherever the cursor was moved in between; so a field that is not wanted costs nothing.
class WireMessage {
 public:
  WireMessage(Cursor& cursor, std::uint64_t end)
      : cursor_(cursor), next_(cursor.offset()), end_(end) {}

  // Nothing at the end and where the message breaks the encoding; broken() tells the two apart.
  std::optional<WireField> Next();
  bool broken() const { return broken_; }

 private:
  std::optional<WireField> Break();

  Cursor& cursor_;
  std::uint64_t next_;
  const std::uint64_t end_;
  bool broken_ = false;
};

}  // namespace weighmaster::agent::formats
