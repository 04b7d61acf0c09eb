#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/base/time.h"
#include "server/store/values.h"
#include "third_party/openssl/certificate.h"

namespace weighmaster::server::identity {

// What a connection may do, by the client certificate that it showed.
enum class PeerRight : std::uint8_t {
  kRefused = 0,
  kEnrolOnly = 1,
  kRenewOnly = 2,
  kSync = 3,  // and renew
};
enum class PeerReason : std::uint8_t {
  kNone = 0,
  kNoCertificate = 1,
  kForeign = 2,  // another CA signed it
  kUnknownEndpoint = 3,
  kOtherKey = 4,  // not the endpoint's current key
  kRevoked = 5,
  kQuarantined = 6,
  kNotYetValid = 7,
  kExpired = 8,
};
std::string_view PeerReasonName(PeerReason reason);

struct PeerDecision {
  PeerRight right = PeerRight::kRefused;
  PeerReason reason = PeerReason::kNone;
  // Set for kRenewOnly and kSync.
  std::optional<model::Id> endpoint;
  // One line for the peer: what is wrong and what to do. Empty for kSync.
  std::string message;
};

// The endpoint that a certificate names, if it names one: whom to look up before deciding.
std::optional<model::Id> EndpointNamed(const openssl::Certificate& certificate);

// No certificate: enrol only. Known but expired: renew only. Revoked: refused. Valid: sync. Pure.
// `endpoint` is what the store knows of the one that the certificate names.
PeerDecision DecidePeer(const std::optional<openssl::Certificate>& certificate,
                        std::string_view ca_pem,
                        const std::optional<store::EndpointIdentity>& endpoint, base::WallTime now);

}  // namespace weighmaster::server::identity
