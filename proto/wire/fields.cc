#include "proto/wire/fields.h"

#include <algorithm>

namespace weighmaster::wire {
namespace {

constexpr base::WallTime kFirstTime{std::chrono::sys_days(std::chrono::year(1) / 1 / 1)};
constexpr base::WallTime kLastTime =
    base::WallTime(std::chrono::sys_days(std::chrono::year(10000) / 1 / 1)) - base::Duration(1);

}  // namespace

base::Error FieldError(std::string_view what, std::string_view problem) {
  return base::InvalidArgument(std::string(what) + " " + std::string(problem));
}

std::string WireText(std::string_view text, std::size_t limit) {
  std::string out = base::IsUtf8(text) ? std::string(text) : base::EscapeForDisplay(text);
  if (out.size() <= limit) return out;
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
  out.resize(end);
  return out;
}

base::Result<std::string> ReadText(const std::string& text, std::size_t limit,
                                   std::string_view what) {
  if (text.size() > limit) {
    return FieldError(what, "has " + std::to_string(text.size()) + " bytes; " +
                                std::to_string(limit) + " are allowed");
  }
  if (!base::IsUtf8(text)) return FieldError(what, "is not UTF-8");
  return text;
}

std::int64_t WireTime(base::WallTime time) {
  return base::ToMicroseconds(std::clamp(time, kFirstTime, kLastTime));
}

base::Result<base::WallTime> ReadTime(std::int64_t us, std::string_view what) {
  const base::WallTime time = base::WallTimeFromMicroseconds(us);
  if (time < kFirstTime || time > kLastTime) {
    return FieldError(what, "is outside the years 1 to 9999");
  }
  return time;
}

base::Result<std::uint64_t> ReadCount(std::uint64_t count, std::string_view what) {
  if (count > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return FieldError(what, "is larger than 2^63 - 1");
  }
  return count;
}

base::Result<model::Sha256> ReadSha256(const std::string& bytes, std::string_view what) {
  auto digest = model::Sha256FromBytes(base::AsBytes(bytes));
  if (!digest) return FieldError(what, "is wrong: " + digest.error().message());
  return digest;
}

base::Result<model::Id> ReadId(const std::string& bytes, std::string_view what) {
  auto id = model::IdFromBytes(base::AsBytes(bytes));
  if (!id) return FieldError(what, "is wrong: " + id.error().message());
  return id;
}

}  // namespace weighmaster::wire
