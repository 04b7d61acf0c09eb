#include "agent/formats/keras/hdf5_type.h"

#include <array>
#include <string_view>

namespace weighmaster::agent::formats {
namespace {

using Kind = Hdf5Type::Kind;

enum TypeClass : std::uint8_t {
  kFixedPoint = 0,
  kFloatingPoint = 1,
  kString = 3,
  kOpaqueClass = 5,
  kEnumeration = 8,
  kVariableLength = 9,
};
constexpr std::uint32_t kBigEndian = 1;
constexpr std::uint32_t kVaxOrder = 1U << 6;  // of floating point
constexpr std::uint32_t kSigned = 1U << 3;    // of fixed point
constexpr std::uint32_t kVariableText = 1;    // of a variable length: a text, no sequence

struct Fixed {
  std::uint64_t bytes;
  std::string_view with_sign;
  std::string_view without_sign;
};
constexpr Fixed kFixed[] = {
    {1, "I8", "U8"}, {2, "I16", "U16"}, {4, "I32", "U32"}, {8, "I64", "U64"}};

// By the bits of exponent and mantissa; the sign is the bit above them.
struct Floating {
  std::uint64_t bytes;
  std::uint8_t exponent_bits;
  std::uint8_t mantissa_bits;
  std::uint32_t bias;
  std::string_view name;
};
constexpr Floating kFloating[] = {
    {1, 5, 2, 15, "F8_E5M2"}, {2, 5, 10, 15, "F16"},    {2, 8, 7, 127, "BF16"},
    {4, 8, 23, 127, "F32"},   {8, 11, 52, 1023, "F64"},
};

bool ReadFixedPoint(Cursor& cursor, std::uint32_t flags, Hdf5Type& type) {
  const auto offset = cursor.U16();
  const auto precision = cursor.U16();
  if (!offset.has_value() || !precision.has_value()) return false;
  type.kind = Kind::kNumber;
  type.big_endian = (flags & kBigEndian) != 0;
  if (*offset != 0 || *precision != type.bytes * 8) return true;
  for (const Fixed& fixed : kFixed) {
    if (fixed.bytes != type.bytes) continue;
    const bool sign = (flags & kSigned) != 0;
    type.type = FindElementType(sign ? fixed.with_sign : fixed.without_sign);
  }
  return true;
}

bool ReadFloatingPoint(Cursor& cursor, std::uint32_t flags, Hdf5Type& type) {
  const auto offset = cursor.U16();
  const auto precision = cursor.U16();
  std::array<std::uint8_t, 4> bits{};  // place and size of the exponent, and of the mantissa
  if (!offset.has_value() || !precision.has_value() || !cursor.Read(bits)) return false;
  const auto bias = cursor.U32();
  if (!bias.has_value()) return false;
  type.kind = Kind::kNumber;
  type.big_endian = (flags & kBigEndian) != 0;
  if ((flags & kVaxOrder) != 0 || *offset != 0 || *precision != type.bytes * 8) return true;
  const std::uint32_t sign = (flags >> 8) & 0xffU;
  for (const Floating& floating : kFloating) {
    const bool same = floating.bytes == type.bytes && sign + 1 == type.bytes * 8 &&
                      bits[0] == floating.mantissa_bits && bits[1] == floating.exponent_bits &&
                      bits[2] == 0 && bits[3] == floating.mantissa_bits && *bias == floating.bias;
    if (same) type.type = FindElementType(floating.name);
  }
  return true;
}

// h5py writes a truth value as an enumeration of one byte, FALSE and TRUE.
bool ReadEnumeration(Cursor& cursor, std::uint32_t flags, Hdf5Type& type) {
  constexpr std::string_view kFirstName{"FALSE\0", 6};
  constexpr std::uint64_t kBaseBytes = 12;  // a type of fixed point
  const auto base = cursor.U8();
  if (!base.has_value()) return false;
  const bool two = (flags & 0xffffU) == 2 && (*base & 0x0fU) == kFixedPoint && type.bytes == 1;
  if (!two || !cursor.Skip(kBaseBytes - 1)) return true;
  type.kind = Kind::kNumber;
  if (base::AsText(cursor.Peek(kFirstName.size())) == kFirstName) {
    type.type = FindElementType("BOOL");
  }
  return true;
}

}  // namespace

std::optional<Hdf5Type> ReadHdf5Type(Cursor& cursor) {
  const auto head = cursor.U32();
  const auto bytes = cursor.U32();
  if (!head.has_value() || !bytes.has_value()) return std::nullopt;
  const std::uint32_t flags = *head >> 8;
  Hdf5Type type;
  type.bytes = *bytes;
  bool read = true;
  switch (*head & 0x0fU) {
    case kFixedPoint:
      read = ReadFixedPoint(cursor, flags, type);
      break;
    case kFloatingPoint:
      read = ReadFloatingPoint(cursor, flags, type);
      break;
    case kString:
      type.kind = Kind::kText;
      break;
    case kOpaqueClass:
      type.kind = Kind::kOpaque;
      break;
    case kEnumeration:
      read = ReadEnumeration(cursor, flags, type);
      break;
    case kVariableLength:
      if ((flags & 0x0fU) == kVariableText) type.kind = Kind::kVariableText;
      break;
    default:
      break;
  }
  return read ? std::optional(type) : std::nullopt;
}

}  // namespace weighmaster::agent::formats
