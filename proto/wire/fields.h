#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"

// How single fields are written, and read with their bounds. For this room's sources only. `what`
// names the field in the error, as the .proto file does.
namespace weighmaster::wire {

// A text fit for a protobuf `string`: what is not UTF-8 is escaped (base::EscapeForDisplay), and
// the end is cut at a character's boundary where it is longer than `limit`.
std::string WireText(std::string_view text, std::size_t limit);
base::Result<std::string> ReadText(const std::string& text, std::size_t limit,
                                   std::string_view what);

// Times beyond the years 1 to 9999 come only from broken clocks and file systems, and overflow
// calendars: written as the nearest that is inside, refused when read.
std::int64_t WireTime(base::WallTime time);
base::Result<base::WallTime> ReadTime(std::int64_t us, std::string_view what);

// Numbers that a store keeps as int64.
base::Result<std::uint64_t> ReadCount(std::uint64_t count, std::string_view what);

inline std::string WireBytes(base::ByteView bytes) { return std::string(base::AsText(bytes)); }
base::Result<model::Sha256> ReadSha256(const std::string& bytes, std::string_view what);
base::Result<model::Id> ReadId(const std::string& bytes, std::string_view what);

base::Error FieldError(std::string_view what, std::string_view problem);

// A number that is at least `least` and fits the model's enum; one that has no name yet is kept.
template <typename Enum>
base::Result<Enum> ReadEnum(int number, std::string_view what, int least = 1) {
  using Number = std::underlying_type_t<Enum>;
  if (number < least || number > int{std::numeric_limits<Number>::max()}) {
    return FieldError(what, "is " + std::to_string(number) + ", which is no value of it");
  }
  return static_cast<Enum>(number);
}

}  // namespace weighmaster::wire
