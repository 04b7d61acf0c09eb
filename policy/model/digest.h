#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "policy/base/bytes.h"
#include "policy/base/result.h"

namespace weighmaster::model {

// A SHA-256 value (FIPS 180-4): 32 bytes, compared as bytes.
struct Sha256 {
  static constexpr std::size_t kBytes = 32;
  std::array<std::uint8_t, kBytes> bytes{};

  friend auto operator<=>(const Sha256&, const Sha256&) = default;

  // 64 lower-case hexadecimal digits.
  std::string ToHex() const;
  base::ByteView view() const { return bytes; }
};

// 64 hexadecimal digits of either case, an optional "sha256:" before them; otherwise
// INVALID_ARGUMENT with a sentence that says what is wrong with the text.
base::Result<Sha256> ParseSha256(std::string_view text);
// Exactly 32 bytes, otherwise INVALID_ARGUMENT.
base::Result<Sha256> Sha256FromBytes(base::ByteView bytes);

// A random 16-byte name: of a chain, an endpoint, a boot, a server's lineage.
struct Id {
  static constexpr std::size_t kBytes = 16;
  std::array<std::uint8_t, kBytes> bytes{};

  friend auto operator<=>(const Id&, const Id&) = default;

  // 32 lower-case hexadecimal digits.
  std::string ToHex() const;
  base::ByteView view() const { return bytes; }
  bool is_zero() const { return *this == Id{}; }
};

base::Result<Id> ParseId(std::string_view hex);
base::Result<Id> IdFromBytes(base::ByteView bytes);

}  // namespace weighmaster::model

template <>
struct std::hash<weighmaster::model::Sha256> {
  std::size_t operator()(const weighmaster::model::Sha256& digest) const noexcept;
};
template <>
struct std::hash<weighmaster::model::Id> {
  std::size_t operator()(const weighmaster::model::Id& id) const noexcept;
};
