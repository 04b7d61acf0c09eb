#include "agent/formats/pickle/coding.h"

#include "policy/base/bytes.h"

namespace weighmaster::agent::formats {
namespace {

constexpr std::size_t kMinBytes = 6;
constexpr std::size_t kMinEncodedBytes = 12;

// What pickles without a protocol mark begin with, when they do something.
constexpr std::string_view kOldStarts = "(ciNIKLSUVX])}lFGJM";

bool StartsPickle(int byte) {
  return byte == 0x80 || (byte >= 0 && byte < 0x80 &&
                          kOldStarts.find(static_cast<char>(byte)) != std::string_view::npos);
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

std::string Latin1FromUtf8(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool two = (c == 0xc2 || c == 0xc3) && i + 1 < text.size();
    out += two ? static_cast<char>(((c & 3U) << 6) | (static_cast<unsigned char>(text[++i]) & 0x3f))
               : text[i];
  }
  return out;
}

bool BeginsProtocol2(std::string_view text) {
  return text.size() >= 2 && text[0] == '\x80' && text[1] >= 0 && text[1] <= 5;
}

// Whether data begins like a pickle worth walking: one with a protocol mark, or an old one that
// imports something.
bool BeginsPickle(std::string_view text, std::uint64_t length) {
  const bool old = text.size() >= kMinBytes && kOldStarts.find(text[0]) != text.npos;
  return (old || BeginsProtocol2(text)) && LooksLikePickle(base::AsBytes(text), length);
}

std::string DecodeBase64(std::string_view text) {
  std::string plain(text.substr(0, text.find('=')));
  for (char& c : plain) c = c == '+' ? '-' : c == '/' ? '_' : c;
  plain.resize(plain.size() / 4 * 4);
  const auto bytes = base::Base64UrlDecode(plain);
  return bytes.has_value() ? std::string(base::AsText(*bytes)) : std::string();
}

}  // namespace

bool MayHoldPickle(std::string_view head) {
  if (head.size() < kMinBytes) return false;
  if (StartsPickle(static_cast<unsigned char>(head[0])) || head.substr(0, 2) == "\xc2\x80") {
    return true;
  }
  const int hex = HexDigit(head[0]) < 0 || HexDigit(head[1]) < 0
                      ? -1
                      : HexDigit(head[0]) * 16 + HexDigit(head[1]);
  const int base64 = Base64Digit(head[0]) < 0 || Base64Digit(head[1]) < 0
                         ? -1
                         : Base64Digit(head[0]) * 4 + Base64Digit(head[1]) / 16;
  return StartsPickle(hex) || StartsPickle(base64);
}

std::optional<PickleCoding> FindPickleCoding(std::string_view head, std::uint64_t length) {
  if (BeginsPickle(head, length)) return PickleCoding::kRaw;
  if (head.substr(0, 2) == "\xc2\x80" && BeginsPickle(Latin1FromUtf8(head), length)) {
    return PickleCoding::kLatin1AsUtf8;
  }
  if (length < kMinEncodedBytes) return std::nullopt;
  if (IsHex(head)) {
    const std::string decoded = DecodePickle(head, PickleCoding::kHex);
    if (BeginsPickle(decoded, length / 2)) return PickleCoding::kHex;
  }
  const std::string decoded = DecodePickle(head, PickleCoding::kBase64);
  return BeginsPickle(decoded, length / 4 * 3) ? std::optional(PickleCoding::kBase64)
                                               : std::nullopt;
}

std::string DecodePickle(std::string_view text, PickleCoding coding) {
  switch (coding) {
    case PickleCoding::kRaw:
      return std::string(text);
    case PickleCoding::kLatin1AsUtf8:
      return Latin1FromUtf8(text);
    case PickleCoding::kHex: {
      const auto bytes = base::HexDecode(text.substr(0, text.size() / 2 * 2));
      return bytes.has_value() ? std::string(base::AsText(*bytes)) : std::string();
    }
    case PickleCoding::kBase64:
      return DecodeBase64(text);
  }
  return {};
}

}  // namespace weighmaster::agent::formats
