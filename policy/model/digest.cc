#include "policy/model/digest.h"

#include <algorithm>
#include <cstring>

namespace weighmaster::model {
namespace {

template <typename T>
base::Result<T> FromBytes(base::ByteView bytes, std::string_view what) {
  if (bytes.size() != T::kBytes) {
    return base::InvalidArgument(std::string(what) + " has " + std::to_string(bytes.size()) +
                                 " bytes instead of " + std::to_string(T::kBytes));
  }
  T value;
  std::ranges::copy(bytes, value.bytes.begin());
  return value;
}

template <typename T>
base::Result<T> FromHex(std::string_view hex, std::string_view what) {
  if (hex.size() != T::kBytes * 2) {
    return base::InvalidArgument(std::string(what) + " has " + std::to_string(hex.size()) +
                                 " characters instead of " + std::to_string(T::kBytes * 2) +
                                 " hexadecimal digits");
  }
  WM_ASSIGN_OR_RETURN(const base::Bytes bytes, base::HexDecode(hex));
  return FromBytes<T>(bytes, what);
}

std::size_t FirstWord(base::ByteView bytes) {
  std::size_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

}  // namespace

std::string Sha256::ToHex() const { return base::HexEncode(bytes); }
std::string Id::ToHex() const { return base::HexEncode(bytes); }

base::Result<Sha256> ParseSha256(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  return FromHex<Sha256>(text, "a SHA-256");
}
base::Result<Sha256> Sha256FromBytes(base::ByteView bytes) {
  return FromBytes<Sha256>(bytes, "a SHA-256");
}
base::Result<Id> ParseId(std::string_view hex) { return FromHex<Id>(hex, "an id"); }
base::Result<Id> IdFromBytes(base::ByteView bytes) { return FromBytes<Id>(bytes, "an id"); }

}  // namespace weighmaster::model

std::size_t std::hash<weighmaster::model::Sha256>::operator()(
    const weighmaster::model::Sha256& digest) const noexcept {
  return weighmaster::model::FirstWord(digest.bytes);
}
std::size_t std::hash<weighmaster::model::Id>::operator()(
    const weighmaster::model::Id& id) const noexcept {
  return weighmaster::model::FirstWord(id.bytes);
}
