#include "agent/formats/arrays/numpy_dtype.h"

#include <string_view>

namespace weighmaster::agent::formats {
namespace {

using Kind = PythonLiteral::Kind;

struct TypeCode {
  std::string_view code;  // a kind and its bytes, as numpy writes them; or a name
  std::string_view name;  // of the element type
};
constexpr TypeCode kTypeCodes[] = {
    {"b1", "BOOL"},         {"?", "BOOL"},      {"i1", "I8"},       {"i2", "I16"},
    {"i4", "I32"},          {"i8", "I64"},      {"u1", "U8"},       {"u2", "U16"},
    {"u4", "U32"},          {"u8", "U64"},      {"f2", "F16"},      {"f4", "F32"},
    {"f8", "F64"},          {"c8", "C64"},      {"c16", "C128"},    {"bool", "BOOL"},
    {"int8", "I8"},         {"int16", "I16"},   {"int32", "I32"},   {"int64", "I64"},
    {"uint8", "U8"},        {"uint16", "U16"},  {"uint32", "U32"},  {"uint64", "U64"},
    {"float16", "F16"},     {"float32", "F32"}, {"float64", "F64"}, {"complex64", "C64"},
    {"complex128", "C128"},
};

// Nothing where it is no number of 63 bits.
std::optional<std::uint64_t> ReadDigits(std::string_view digits) {
  if (digits.empty() || digits.size() > 18) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

NumpyDtype ReadTypeText(std::string_view text) {
  NumpyDtype dtype;
  // No other code has a capital O; "object" is the name, alone or in a list with commas.
  dtype.has_objects = text.find('O') != text.npos || text.find("object") != text.npos;
  if (dtype.has_objects) return dtype;
  const std::string_view marks = "<>=|";
  if (!text.empty() && marks.find(text.front()) != marks.npos) {
    dtype.big_endian = text.front() == '>';
    text.remove_prefix(1);
  }
  for (const TypeCode& code : kTypeCodes) {
    if (code.code != text) continue;
    dtype.type = FindElementType(code.name);
    dtype.bytes = dtype.type->block_bytes;
    return dtype;
  }
  if (text.empty()) return dtype;
  const auto count = ReadDigits(text.substr(1));
  switch (text.front()) {
    case 'S':
    case 'a':
    case 'V':
    case 'f':  // the long doubles
    case 'c':
      dtype.bytes = count;
      break;
    case 'U':
      if (count.has_value()) dtype.bytes = *count * 4;
      break;
    case 'm':
    case 'M':  // "M8[ns]"
      if (text.substr(1, 1) == "8") dtype.bytes = 8;
      break;
    default:
      break;
  }
  return dtype;
}

// `part` comes behind what `whole` holds already, `count` times.
void Append(NumpyDtype& whole, const NumpyDtype& part, std::uint64_t count) {
  whole.has_objects = whole.has_objects || part.has_objects;
  std::uint64_t bytes = 0;
  const bool counted = whole.bytes.has_value() && part.bytes.has_value() &&
                       !__builtin_mul_overflow(*part.bytes, count, &bytes) &&
                       !__builtin_add_overflow(*whole.bytes, bytes, &bytes);
  whole.bytes = counted ? std::optional(bytes) : std::nullopt;
}

// The depth is that of the literal, which is bounded where it is read.
// NOLINTNEXTLINE(misc-no-recursion)
std::optional<NumpyDtype> ReadRecord(const PythonLiteral& fields) {
  NumpyDtype record;
  record.bytes = 0;
  for (const PythonLiteral& field : fields.items) {
    // A name, or a title and a name; a type; perhaps a shape.
    if (field.kind != Kind::kTuple || field.items.size() < 2 || field.items.size() > 3) {
      return std::nullopt;
    }
    const Kind name = field.items[0].kind;
    if (name != Kind::kText && name != Kind::kTuple) return std::nullopt;
    const auto type = ReadNumpyDtype(field.items[1]);
    if (!type.has_value()) return std::nullopt;
    std::uint64_t count = 1;
    if (field.items.size() == 3) {
      const auto elements = ElementsOfShape(field.items[2]);
      if (!elements.has_value()) return std::nullopt;
      count = *elements;
    }
    Append(record, *type, count);
  }
  return record;
}

}  // namespace

std::optional<std::uint64_t> ElementsOfShape(const PythonLiteral& shape) {
  const auto is_extent = [](const PythonLiteral& item) {
    return item.kind == Kind::kInteger || item.kind == Kind::kBoolean;
  };
  if (is_extent(shape)) return shape.number;
  if (shape.kind != Kind::kTuple) return std::nullopt;
  std::uint64_t elements = 1;
  bool overflow = false;
  bool empty = false;
  for (const PythonLiteral& item : shape.items) {
    if (!is_extent(item)) return std::nullopt;
    empty = empty || item.number == 0;
    overflow = overflow || __builtin_mul_overflow(elements, item.number, &elements);
  }
  if (empty) return 0;
  return overflow ? std::nullopt : std::optional(elements);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the literal, which is bounded where it is read.
std::optional<NumpyDtype> ReadNumpyDtype(const PythonLiteral& descr) {
  if (descr.kind == Kind::kText) return ReadTypeText(descr.text);
  if (descr.kind == Kind::kList) return ReadRecord(descr);
  // A type and a shape: an array as one element.
  if (descr.kind != Kind::kTuple || descr.items.size() != 2) return std::nullopt;
  const auto base = ReadNumpyDtype(descr.items[0]);
  const auto count = ElementsOfShape(descr.items[1]);
  if (!base.has_value() || !count.has_value()) return std::nullopt;
  NumpyDtype whole;
  whole.bytes = 0;
  Append(whole, *base, *count);
  return whole;
}

}  // namespace weighmaster::agent::formats
