#include "third_party/posix/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace weighmaster::posix {

bool IsIpAddress(const std::string& text) {
  in6_addr bytes{};
  return ::inet_pton(AF_INET, text.c_str(), &bytes) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &bytes) == 1;
}

}  // namespace weighmaster::posix
