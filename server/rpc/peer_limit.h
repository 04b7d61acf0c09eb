#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "policy/base/limits.h"
#include "policy/base/rate_limit.h"
#include "policy/base/time.h"

namespace weighmaster::server::rpc {

// The address in a gRPC peer ("ipv4:192.0.2.1:443", "ipv6:%5B2001:db8::1%5D:443"), without scheme,
// brackets and port. What has another form is returned whole.
std::string PeerAddress(std::string_view peer);

// How often one address may make a call that needs no certificate: limits::kEnrolmentBurst at once,
// then one every limits::kEnrolmentInterval. Callable from any thread.
class PeerLimit {
 public:
  explicit PeerLimit(const base::Clock& clock) : clock_(clock) {}

  // False past the limit; nothing is taken then.
  bool Take(std::string_view address);

 private:
  const base::Clock& clock_;
  std::mutex mutex_;  // gRPC's threads; held for a look-up
  base::RateLimit limit_{base::limits::kEnrolmentInterval, base::limits::kEnrolmentBurst,
                         base::limits::kMaxLimitedPeers};  // by identity::LimitKey
};

}  // namespace weighmaster::server::rpc
