#include "tests/support/pki.h"

#include <utility>

#include "policy/base/check.h"
#include "third_party/openssl/certificate.h"

namespace weighmaster::tests {

namespace {

template <typename T>
T Must(base::Result<T> result) {
  WM_CHECK(result.has_value());
  return std::move(result).value();
}

}  // namespace

Pki::Pki(const base::Clock& clock)
    : clock_(clock),
      ca_key_(Must(openssl::PrivateKey::Generate())),
      ca_pem_(Must(openssl::MakeCaCertificate(ca_key_, "a test fleet",
                                              clock.Now() - std::chrono::hours(24 * 365),
                                              clock.Now() + std::chrono::hours(24 * 365)))) {}

model::Sha256 Pki::ca_digest() const { return Must(openssl::ParseCertificate(ca_pem_)).digest; }

Identity Pki::ServerIdentity(Validity validity) const {
  const auto key = Must(openssl::PrivateKey::Generate());
  openssl::CertificateRequest request;
  request.common_name = "server";
  request.use = openssl::CertificateUse::kServer;
  request.dns_names = {"localhost"};
  request.ip_addresses = {"127.0.0.1"};
  request.not_before = clock_.Now() + validity.from;
  request.not_after = clock_.Now() + validity.until;
  return {Must(openssl::IssueCertificate(ca_key_, ca_pem_, key.public_key(), request)),
          key.ToPem()};
}

Identity Pki::ClientIdentity(const model::Id& endpoint, Validity validity) const {
  const auto key = Must(openssl::PrivateKey::Generate());
  return {ClientCertificate(key.public_key(), endpoint, validity), key.ToPem()};
}

std::string Pki::ClientCertificate(const openssl::PublicKey& key, const model::Id& endpoint,
                                   Validity validity) const {
  openssl::CertificateRequest request;
  request.common_name = endpoint.ToHex();
  request.not_before = clock_.Now() + validity.from;
  request.not_after = clock_.Now() + validity.until;
  return Must(openssl::IssueCertificate(ca_key_, ca_pem_, key, request));
}

}  // namespace weighmaster::tests
