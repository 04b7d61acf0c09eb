#include "agent/formats/trees/ubjson_reader.h"

#include <bit>
#include <utility>

#include "agent/formats/reading/work_budget.h"

namespace weighmaster::agent::formats {
namespace {

// Bytes of a value by its marker; nothing where its length follows or it is no plain value.
std::optional<std::uint64_t> BytesOfMarker(std::uint8_t marker) {
  switch (marker) {
    case 'Z':
    case 'T':
    case 'F':
      return 0;
    case 'i':
    case 'U':
    case 'C':
      return 1;
    case 'I':
      return 2;
    case 'l':
    case 'd':
      return 4;
    case 'L':
    case 'D':
      return 8;
    default:
      return std::nullopt;
  }
}

}  // namespace

JsonToken UbjsonReader::Next() {
  if (broken_) return JsonToken::kBroken;
  cursor_.budget().Take(work::kWireField);
  if (closes_) return Close();
  if (open_.empty()) {
    if (begun_) return JsonToken::kEnd;
    begun_ = true;
    const auto marker = Marker();
    return marker.has_value() ? Value(*marker) : Break();
  }
  Container& container = open_.back();
  if (!after_key_) {
    if (container.left == std::uint64_t{0}) return Close();
    if (!container.left.has_value()) {
      const base::ByteView next = cursor_.Peek(1);
      if (next.empty()) return Break();
      if (next[0] == (container.object ? '}' : ']')) {
        cursor_.Skip(1);
        return Close();
      }
    } else {
      --*container.left;
    }
    if (container.object) {
      after_key_ = true;
      return ReadText() ? JsonToken::kKey : Break();
    }
  }
  after_key_ = false;
  const auto marker = Marker();
  return marker.has_value() ? Value(*marker) : Break();
}

JsonToken UbjsonReader::Break() {
  broken_ = true;
  return JsonToken::kBroken;
}

JsonToken UbjsonReader::Close() {
  closes_ = false;
  const bool object = open_.back().object;
  open_.pop_back();
  return object ? JsonToken::kEndObject : JsonToken::kEndArray;
}

JsonToken UbjsonReader::Value(std::uint8_t marker) {
  switch (marker) {
    case '{':
      return Open(true);
    case '[':
      return Open(false);
    case 'S':
      return ReadText() ? JsonToken::kText : Break();
    case 'H':  // a number in digits
      return ReadText() ? JsonToken::kOtherNumber : Break();
    case 'Z':
      return JsonToken::kNull;
    case 'T':
    case 'F':
      return JsonToken::kBoolean;
    default:
      break;
  }
  const auto bytes = BytesOfMarker(marker);
  if (!bytes.has_value() || !cursor_.Skip(*bytes)) return Break();
  return JsonToken::kOtherNumber;
}

JsonToken UbjsonReader::Open(bool object) {
  if (open_.size() == kMaxDepth) return Break();
  Container container;
  container.object = object;
  std::optional<std::uint64_t> bytes;
  const base::ByteView first = cursor_.Peek(1);
  const bool typed = !first.empty() && first[0] == '$';
  if (typed) {
    cursor_.Skip(1);
    const auto type = cursor_.U8();
    bytes = type.has_value() ? BytesOfMarker(*type) : std::nullopt;
    if (!bytes.has_value() || object) return Break();
  }
  const base::ByteView next = cursor_.Peek(1);
  if (!next.empty() && next[0] == '#') {
    cursor_.Skip(1);
    container.left = ReadCount();
    if (!container.left.has_value()) return Break();
  } else if (typed) {
    return Break();
  }
  std::uint64_t length = 0;
  if (typed &&
      (__builtin_mul_overflow(*bytes, *container.left, &length) || !cursor_.Skip(length))) {
    return Break();
  }
  closes_ = typed;
  open_.push_back(container);
  return object ? JsonToken::kObject : JsonToken::kArray;
}

bool UbjsonReader::ReadText() {
  const auto length = ReadCount();
  if (!length.has_value()) return false;
  auto text = cursor_.Text(*length, kKeptBytes);
  if (!text.has_value()) return false;
  text_ = *std::move(text);
  return true;
}

std::optional<std::uint64_t> UbjsonReader::ReadCount() {
  const auto marker = cursor_.U8();
  if (!marker.has_value()) return std::nullopt;
  cursor_.set_order(std::endian::big);
  std::uint64_t value = 0;
  std::uint64_t sign = 0;
  const auto take = [&](auto read, std::uint64_t sign_bit) {
    if (!read.has_value()) return false;
    value = *read;
    sign = sign_bit;
    return true;
  };
  bool read = false;
  if (*marker == 'U') read = take(cursor_.U8(), 0);
  if (*marker == 'i') read = take(cursor_.U8(), 0x80);
  if (*marker == 'I') read = take(cursor_.U16(), 0x8000);
  if (*marker == 'l') read = take(cursor_.U32(), 0x8000'0000);
  if (*marker == 'L') read = take(cursor_.U64(), 1ULL << 63);
  if (!read || (value & sign) != 0) return std::nullopt;
  return value;
}

std::optional<std::uint8_t> UbjsonReader::Marker() {
  while (true) {
    const auto marker = cursor_.U8();
    if (marker != std::uint8_t{'N'}) return marker;
    cursor_.budget().Take(work::kWireField);
  }
}

}  // namespace weighmaster::agent::formats
