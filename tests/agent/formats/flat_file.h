#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/bytes.h"

// Builds FlatBuffers (https://flatbuffers.dev/internals/) from values, the parts of each behind it.
namespace weighmaster::tests::flat {

// A number, what lies elsewhere in one piece, a vector of such, or a table of any.
struct Value {
  enum class Kind : std::uint8_t { kNumber, kPiece, kVector, kTable };
  Kind kind = Kind::kNumber;
  std::uint64_t number = 0;
  std::size_t bytes = 0;  // of the number
  std::string piece;
  std::vector<Value> parts;
  std::vector<std::size_t> fields;  // of a table: the number of each part
};

inline std::string Little(std::uint64_t number, std::size_t bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) {
    out += static_cast<char>(static_cast<std::uint8_t>(number >> (8 * i)));
  }
  return out;
}

inline Value Number(std::uint64_t number, std::size_t bytes) {
  Value value;
  value.number = number;
  value.bytes = bytes;
  return value;
}
inline Value U8(std::uint8_t number) { return Number(number, 1); }
inline Value U32(std::uint32_t number) { return Number(number, 4); }
inline Value U64(std::uint64_t number) { return Number(number, 8); }

inline Value Piece(std::string piece) {
  Value value;
  value.kind = Value::Kind::kPiece;
  value.piece = std::move(piece);
  return value;
}
inline Value Text(const std::string& text) {
  return Piece(Little(text.size(), 4) + text + std::string(1, '\0'));
}
inline Value Bytes(const std::string& bytes) { return Piece(Little(bytes.size(), 4) + bytes); }
inline Value Numbers(const std::vector<std::uint64_t>& numbers, std::size_t bytes) {
  std::string piece = Little(numbers.size(), 4);
  for (const std::uint64_t number : numbers) piece += Little(number, bytes);
  return Piece(piece);
}
inline Value U32s(const std::vector<std::uint64_t>& numbers) { return Numbers(numbers, 4); }
inline Value U64s(const std::vector<std::uint64_t>& numbers) { return Numbers(numbers, 8); }

inline Value Vector(std::vector<Value> parts) {
  Value value;
  value.kind = Value::Kind::kVector;
  value.parts = std::move(parts);
  return value;
}
inline Value Table(const std::vector<std::pair<std::size_t, Value>>& fields) {
  Value value;
  value.kind = Value::Kind::kTable;
  for (const auto& [number, part] : fields) {
    value.fields.push_back(number);
    value.parts.push_back(part);
  }
  return value;
}

class Writer {
 public:
  // A file whose root table is `root`, with `between` in front of it.
  std::string Write(const Value& root, std::string_view identifier, std::string_view between) {
    out_ = Little(0, 4);
    out_ += identifier;
    out_ += between;
    Point(0, Put(root));
    return std::move(out_);
  }

 private:
  void Set(std::size_t at, const std::string& bytes) {
    std::copy(bytes.begin(), bytes.end(), out_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void Point(std::size_t place, std::size_t target) { Set(place, Little(target - place, 4)); }
  // So that what comes after `before` more bytes is aligned.
  void Align(std::size_t before) {
    while ((out_.size() + before) % 4 != 0) out_ += '\0';
  }

  std::size_t Put(const Value& value) {
    if (value.kind == Value::Kind::kTable) return PutTable(value);
    Align(0);
    const std::size_t at = out_.size();
    if (value.kind == Value::Kind::kPiece) {
      out_ += value.piece;
      return at;
    }
    out_ += Little(value.parts.size(), 4) + std::string(4 * value.parts.size(), '\0');
    // The last first, as the builders of FlatBuffers leave them.
    for (std::size_t i = value.parts.size(); i-- > 0;) {
      Point(at + 4 + 4 * i, Put(value.parts[i]));
    }
    return at;
  }

  std::size_t PutTable(const Value& table) {
    std::size_t count = 0;
    for (const std::size_t field : table.fields) count = std::max(count, field + 1);
    std::vector<std::size_t> entries(count, 0);
    std::size_t size = 4;
    for (std::size_t i = 0; i < table.parts.size(); ++i) {
      const std::size_t bytes = Width(table.parts[i]);
      const std::size_t step = std::min<std::size_t>(bytes, 4);
      size = (size + step - 1) / step * step;
      entries[table.fields[i]] = size;
      size += bytes;
    }
    const std::size_t vtable_bytes = 4 + 2 * count;
    Align(vtable_bytes);
    out_ += Little(vtable_bytes, 2) + Little(size, 2);
    for (const std::size_t entry : entries) out_ += Little(entry, 2);
    const std::size_t at = out_.size();
    out_ += Little(vtable_bytes, 4) + std::string(size - 4, '\0');
    for (std::size_t i = 0; i < table.parts.size(); ++i) {
      const std::size_t place = at + entries[table.fields[i]];
      const Value& part = table.parts[i];
      if (part.kind == Value::Kind::kNumber) {
        Set(place, Little(part.number, part.bytes));
      } else {
        Point(place, Put(part));
      }
    }
    return at;
  }

  static std::size_t Width(const Value& value) {
    return value.kind == Value::Kind::kNumber ? value.bytes : 4;
  }

  std::string out_;
};

inline std::string File(const Value& root, std::string_view identifier = "",
                        std::string_view between = "") {
  return Writer().Write(root, identifier, between);
}

}  // namespace weighmaster::tests::flat
