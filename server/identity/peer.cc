#include "server/identity/peer.h"

#include <utility>

#include "policy/model/named.h"

namespace weighmaster::server::identity {
namespace {

constexpr model::Named<PeerReason> kReasons[] = {{PeerReason::kNone, "none"},
                                                 {PeerReason::kNoCertificate, "no_certificate"},
                                                 {PeerReason::kForeign, "foreign_certificate"},
                                                 {PeerReason::kUnknownEndpoint, "unknown_endpoint"},
                                                 {PeerReason::kOtherKey, "other_key"},
                                                 {PeerReason::kRevoked, "revoked"},
                                                 {PeerReason::kQuarantined, "quarantined"},
                                                 {PeerReason::kNotYetValid, "not_yet_valid"},
                                                 {PeerReason::kExpired, "expired"}};

PeerDecision Refuse(PeerReason reason, std::string message) {
  PeerDecision decision;
  decision.reason = reason;
  decision.message = std::move(message);
  return decision;
}

}  // namespace

std::string_view PeerReasonName(PeerReason reason) { return model::NameOf(kReasons, reason); }

std::optional<model::Id> EndpointNamed(const openssl::Certificate& certificate) {
  auto id = model::ParseId(certificate.common_name);
  if (!id.has_value()) return std::nullopt;
  return *id;
}

PeerDecision DecidePeer(const std::optional<openssl::Certificate>& certificate,
                        std::string_view ca_pem,
                        const std::optional<store::EndpointIdentity>& endpoint,
                        base::WallTime now) {
  if (!certificate.has_value()) {
    PeerDecision decision;
    decision.right = PeerRight::kEnrolOnly;
    decision.reason = PeerReason::kNoCertificate;
    decision.message = "without a certificate a connection can only enrol";
    return decision;
  }
  if (!openssl::IsIssuedBy(*certificate, ca_pem)) {
    return Refuse(
        PeerReason::kForeign,
        "the certificate was not issued by this fleet; enrol with a token of this server");
  }
  const std::optional<model::Id> named = EndpointNamed(*certificate);
  if (!endpoint.has_value() || named != endpoint->id) {
    return Refuse(PeerReason::kUnknownEndpoint,
                  "this server does not know the endpoint; it may have been restored from an older "
                  "backup: enrol again");
  }
  if (endpoint->state == store::EndpointState::kRevoked) {
    return Refuse(PeerReason::kRevoked, "this endpoint was revoked by an administrator");
  }
  if (endpoint->state == store::EndpointState::kQuarantined) {
    return Refuse(PeerReason::kQuarantined,
                  "two machines use this endpoint's key; each must enrol again with a new key");
  }
  if (!certificate->key.has_value() || certificate->key->id() != endpoint->key.id()) {
    return Refuse(PeerReason::kOtherKey, "the certificate holds a key that is not the endpoint's");
  }
  PeerDecision decision;
  decision.endpoint = endpoint->id;
  if (now < certificate->not_before) {
    decision.right = PeerRight::kRenewOnly;
    decision.reason = PeerReason::kNotYetValid;
    decision.message = "the certificate is not valid before " +
                       base::FormatWallTime(certificate->not_before) +
                       "; check the clocks or renew";
    return decision;
  }
  if (now >= certificate->not_after) {
    decision.right = PeerRight::kRenewOnly;
    decision.reason = PeerReason::kExpired;
    decision.message =
        "the certificate expired at " + base::FormatWallTime(certificate->not_after) + "; renew it";
    return decision;
  }
  decision.right = PeerRight::kSync;
  return decision;
}

}  // namespace weighmaster::server::identity
