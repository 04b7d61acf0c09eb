#include "server/rpc/peer_limit.h"

#include "server/identity/limit_key.h"

namespace weighmaster::server::rpc {

std::string PeerAddress(std::string_view peer) {
  constexpr std::string_view kV4 = "ipv4:";
  constexpr std::string_view kV6 = "ipv6:";
  if (peer.starts_with(kV4)) {
    const std::string_view rest = peer.substr(kV4.size());
    return std::string(rest.substr(0, rest.rfind(':')));
  }
  if (!peer.starts_with(kV6)) return std::string(peer);
  std::string_view rest = peer.substr(kV6.size());
  rest = rest.substr(0, rest.rfind(':'));
  for (const std::string_view bracket : {"[", "%5B"}) {
    if (rest.starts_with(bracket)) rest.remove_prefix(bracket.size());
  }
  for (const std::string_view bracket : {"]", "%5D"}) {
    if (rest.ends_with(bracket)) rest.remove_suffix(bracket.size());
  }
  return std::string(rest);
}

bool PeerLimit::Take(std::string_view address) {
  const base::Duration now = clock_.SinceBoot().since_boot;
  const std::string key = identity::LimitKey(address);
  const std::lock_guard lock(mutex_);
  return limit_.Take(key, now) == base::Duration(0);
}

}  // namespace weighmaster::server::rpc
