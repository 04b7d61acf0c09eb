#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "third_party/openssl/key.h"

namespace weighmaster::openssl {

// An X.509 certificate, parsed; a value.
struct Certificate {
  std::string pem;
  base::Bytes der;
  model::Sha256 digest;     // SHA-256 of the DER
  std::string common_name;  // of the subject, "" if none
  base::WallTime not_before;
  base::WallTime not_after;
  std::optional<PublicKey> key;  // set when it is a P-256 key
};

// One certificate, PEM. Anything after it is ignored, as in a chain file.
base::Result<Certificate> ParseCertificate(std::string_view pem);
base::Result<Certificate> ParseCertificateDer(base::ByteView der);

// A self-signed CA for TLS of this server and its endpoints: CN, CA:TRUE pathlen 0, keyCertSign.
base::Result<std::string> MakeCaCertificate(const PrivateKey& key, std::string_view common_name,
                                            base::WallTime not_before, base::WallTime not_after);

enum class CertificateUse { kServer, kClient };
struct CertificateRequest {
  std::string common_name;
  CertificateUse use = CertificateUse::kClient;
  std::vector<std::string> dns_names;     // kServer: subjectAltName
  std::vector<std::string> ip_addresses;  // kServer: subjectAltName, text form
  base::WallTime not_before;
  base::WallTime not_after;
};
// Signs a leaf for `subject_key` with a random 128-bit serial number. PEM.
base::Result<std::string> IssueCertificate(const PrivateKey& ca_key, std::string_view ca_pem,
                                           const PublicKey& subject_key,
                                           const CertificateRequest& request);

// A PKCS#10 request in DER, and the key in it once its self-signature has been checked.
base::Result<base::Bytes> MakeSigningRequest(const PrivateKey& key, std::string_view common_name);
base::Result<PublicKey> VerifySigningRequest(base::ByteView der);

// Whether the leaf chains to this CA, its signature only: dates are the caller's business, because
// an expired certificate may still renew.
bool IsIssuedBy(const Certificate& leaf, std::string_view ca_pem);

// Whether both can be read, PEM, and the key is the certificate's, of whatever kind it is.
bool IsKeyOf(std::string_view certificate_pem, std::string_view private_key_pem);

}  // namespace weighmaster::openssl
