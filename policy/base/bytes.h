#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"

namespace weighmaster::base {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// Protobuf and SQLite hand out bytes as char; these are the only two casts.
inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Lower-case hexadecimal.
std::string HexEncode(ByteView bytes);
// Accepts both cases; an odd length or another character is INVALID_ARGUMENT.
Result<Bytes> HexDecode(std::string_view text);

// RFC 4648 section 5, without padding.
std::string Base64UrlEncode(ByteView bytes);
Result<Bytes> Base64UrlDecode(std::string_view text);

// Whether the text is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most
// U+10FFFF).
bool IsUtf8(std::string_view text);

// At most `most` bytes of the text, and no half of a UTF-8 character at the end.
std::string CutText(std::string_view text, std::size_t most);

// Foreign text made fit for one line of a terminal or a log: well-formed UTF-8 stays, every control
// character (C0, C1, DEL, U+2028, U+2029, the bidirectional overrides) and every byte that is not
// UTF-8 becomes \xNN, and a backslash becomes \\, so that the form is reversible byte by byte.
std::string EscapeForDisplay(std::string_view text);
// Whether a terminal or a log can be given the text as it is: what EscapeForDisplay returns can.
bool IsFitForDisplay(std::string_view text);

}  // namespace weighmaster::base
