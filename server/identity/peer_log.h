#pragma once

#include <cstdint>
#include <string_view>

#include "policy/base/error.h"
#include "policy/base/limits.h"
#include "policy/base/rate_limit.h"
#include "policy/base/time.h"

namespace weighmaster::server::identity {

// What peers of a port can make the server's log say: who was turned away, who was cut off. Whoever
// can connect can cause such lines, each with another address, so there are only
// limits::kPeerLogBurst at once, then one every limits::kPeerLogInterval; each says how many were
// left out before it. Loop-owned. The clock must outlive it.
class PeerLog {
 public:
  // `component` is a literal, as logging::Log has it.
  PeerLog(const base::Clock& clock, std::string_view component)
      : clock_(clock), component_(component) {}

  // "192.0.2.1 was cut off: it was too slow": `what` is all after the address.
  void Tell(std::string_view address, std::string_view what);
  // Tells of a call or a connection that was turned away for what it is (UNAUTHENTICATED,
  // PERMISSION_DENIED), with the error's message. Other errors are not the peer's alone, and not
  // told.
  void Refused(std::string_view address, const base::Error& why);

 private:
  const base::Clock& clock_;
  const std::string_view component_;
  base::RateLimit limit_{base::limits::kPeerLogInterval, base::limits::kPeerLogBurst, 1};
  std::uint64_t left_out_ = 0;
};

}  // namespace weighmaster::server::identity
