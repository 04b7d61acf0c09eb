#include "agent/formats/grammars/protobuf_wire.h"

namespace weighmaster::agent::formats {

std::optional<std::uint64_t> ReadVarint(Cursor& cursor) {
  cursor.budget().Take(work::kWireVarint);
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    cursor.budget().Take(work::kWireVarintByte);
    const auto byte = cursor.U8();
    if (!byte.has_value()) return std::nullopt;
    value |= shift < 64 ? std::uint64_t{*byte & 0x7fU} << shift : 0;
    if ((*byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::optional<WireField> WireMessage::Break() {
  broken_ = true;
  return std::nullopt;
}

std::optional<WireField> WireMessage::Next() {
  if (broken_ || next_ >= end_) return std::nullopt;
  cursor_.budget().Take(work::kWireField);
  if (!cursor_.Seek(next_)) return Break();
  const auto tag = ReadVarint(cursor_);
  if (!tag.has_value() || *tag >> 3 == 0 || *tag >> 32 != 0) return Break();
  WireField field;
  field.number = static_cast<std::uint32_t>(*tag >> 3);
  field.type = static_cast<WireType>(*tag & 7);
  std::uint64_t length = 0;
  switch (field.type) {
    case WireType::kVarint: {
      const auto value = ReadVarint(cursor_);
      if (!value.has_value()) return Break();
      field.value = *value;
      break;
    }
    case WireType::kFixed64:
      length = 8;
      break;
    case WireType::kFixed32:
      length = 4;
      break;
    case WireType::kBytes: {
      const auto bytes = ReadVarint(cursor_);
      if (!bytes.has_value()) return Break();
      length = *bytes;
      break;
    }
    default:
      return Break();  // groups, which no format of ours has
  }
  field.begin = cursor_.offset();
  if (field.begin > end_ || length > end_ - field.begin) return Break();
  field.end = field.begin + length;
  next_ = field.end;
  return field;
}

}  // namespace weighmaster::agent::formats
