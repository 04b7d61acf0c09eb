#include <charconv>

#include "policy/base/limits.h"
#include "proto/wire/fields.h"
#include "proto/wire/trust.h"
#include "weighmaster/v1/enrol.pb.h"

namespace weighmaster::wire {
namespace {

constexpr std::string_view kPrefix = "wm1.";
constexpr std::size_t kSecretBytes = 32;
constexpr std::string_view kWhiteSpace = " \t\r\n";

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

// "host:port", printable ASCII; an IPv6 host stands in brackets.
bool IsAddress(std::string_view address) {
  const auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
  for (const char c : address) {
    if (!printable(c)) return false;
  }
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  if (address.size() > base::limits::kMaxAddressBytes) return false;
  const std::string_view host = address.substr(0, colon);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (host.find(':') != std::string_view::npos && !brackets) return false;
  const std::string_view port = address.substr(colon + 1);
  std::uint16_t number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == port.data() + port.size() && number != 0;
}

}  // namespace

std::string FormatToken(const EnrolmentToken& token) {
  v1::EnrolmentToken proto;
  proto.set_address(token.address);
  proto.set_ca_sha256(WireBytes(token.ca.view()));
  proto.set_root_sha256(WireBytes(token.root.view()));
  proto.set_secret(WireBytes(token.secret));
  return std::string(kPrefix) + base::Base64UrlEncode(base::AsBytes(proto.SerializeAsString()));
}

// No message here quotes the text: it is a secret.
base::Result<EnrolmentToken> ParseToken(std::string_view text) {
  text = Trim(text);
  if (text.size() > base::limits::kMaxTokenBytes || !text.starts_with(kPrefix)) {
    return base::InvalidArgument(
        "this is no enrolment token: it should be one line that begins with \"wm1.\"");
  }
  const auto bytes = base::Base64UrlDecode(text.substr(kPrefix.size()));
  v1::EnrolmentToken proto;
  if (!bytes || !proto.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
    return base::InvalidArgument("the enrolment token is damaged; copy it again as a whole");
  }
  EnrolmentToken token;
  if (!IsAddress(proto.address())) {
    return base::InvalidArgument("the enrolment token's address is not host:port");
  }
  token.address = proto.address();
  WM_ASSIGN_OR_RETURN(token.ca, ReadSha256(proto.ca_sha256(), "the enrolment token's CA digest"));
  WM_ASSIGN_OR_RETURN(token.root,
                      ReadSha256(proto.root_sha256(), "the enrolment token's root digest"));
  if (proto.secret().size() != kSecretBytes) {
    return base::InvalidArgument("the enrolment token's secret does not have 32 bytes");
  }
  const base::ByteView secret = base::AsBytes(proto.secret());
  token.secret.assign(secret.begin(), secret.end());
  return token;
}

}  // namespace weighmaster::wire
