#include "server/identity/limit_key.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstddef>

#include "policy/base/bytes.h"

namespace weighmaster::server::identity {

std::string LimitKey(std::string_view address) {
  const std::string text(address.substr(0, address.find('%')));  // a zone is the server's business
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6)) return text;
  constexpr std::size_t kPrefixBytes = 8;
  return base::HexEncode(base::ByteView(v6.s6_addr, kPrefixBytes)) + "/64";
}

}  // namespace weighmaster::server::identity
