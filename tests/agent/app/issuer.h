#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/sync/enrolment_client.h"
#include "policy/base/check.h"
#include "tests/support/keys.h"
#include "tests/support/pki.h"
#include "third_party/openssl/certificate.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::tests {

// The server's end of enrolment: knows one token, signs what is asked for with a CA of its own, and
// keeps who asked. One thread.
class Issuer final : public agent::sync::EnrolmentClient {
 public:
  explicit Issuer(const base::Clock& clock) : pki_(clock) {}

  // --- What a test does to it
  std::optional<base::Error> refusal;  // to everything, while it is set
  std::chrono::hours life{24 * 30};    // of the next certificate

  // --- What it has seen
  int attempts() const { return attempts_; }
  // What each renewal, refused or not, showed of itself.
  const std::vector<agent::sync::ConnectorOptions>& renewals() const { return renewals_; }

  const Pki& pki() const { return pki_; }
  wire::EnrolmentToken Token() const {
    wire::EnrolmentToken token;
    token.address = "weighmaster.example.org:8443";
    token.ca = pki_.ca_digest();
    token.root = openssl::Sha256Of(base::AsBytes(root_.bytes));
    token.secret.assign(32, 's');
    return token;
  }

  base::Result<agent::sync::Enrolment> Enrol(const wire::EnrolmentToken& token,
                                             base::ByteView signing_request,
                                             const v1::MachineFacts&) const override {
    ++attempts_;
    if (refusal.has_value()) return *refusal;
    if (token.secret != Token().secret) return base::Unauthenticated("no such token");
    return agent::sync::Enrolment{kEndpoint, Sign(signing_request), pki_.ca_pem(), root_};
  }

  base::Result<agent::sync::Renewal> Renew(const agent::sync::ConnectorOptions& options,
                                           base::ByteView signing_request) const override {
    ++attempts_;
    renewals_.push_back(options);
    if (refusal.has_value()) return *refusal;
    return agent::sync::Renewal{Sign(signing_request), options.ca_pem};
  }

  static constexpr model::Id kEndpoint{{5}};

 private:
  std::string Sign(base::ByteView signing_request) const {
    const auto key = openssl::VerifySigningRequest(signing_request);
    WM_CHECK(key.has_value());
    return pki_.ClientCertificate(*key, kEndpoint, {std::chrono::hours(0), life});
  }

  const Pki pki_;
  const wire::SignedDocument root_ = MakeTestFleet().signed_root;
  // The interface is const, as many threads may use it; this one is asked on the test's.
  mutable int attempts_ = 0;
  mutable std::vector<agent::sync::ConnectorOptions> renewals_;
};

}  // namespace weighmaster::tests
