#pragma once

#include <chrono>
#include <string>

#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "third_party/openssl/key.h"

namespace weighmaster::tests {

// A certificate and the key in it, PEM.
struct Identity {
  std::string certificate_pem;
  std::string private_key_pem;
};

// Dates of a certificate, from now.
struct Validity {
  std::chrono::hours from{-1};
  std::chrono::hours until{24};
};

// A certificate authority of its own. What can only fail by a defect is a CHECK.
class Pki {
 public:
  explicit Pki(const base::Clock& clock);

  const std::string& ca_pem() const { return ca_pem_; }
  model::Sha256 ca_digest() const;
  const openssl::PrivateKey& ca_key() const { return ca_key_; }

  // For 127.0.0.1 and localhost.
  Identity ServerIdentity(Validity validity = {}) const;
  // The common name is the endpoint's id in hexadecimal.
  Identity ClientIdentity(const model::Id& endpoint, Validity validity = {}) const;
  std::string ClientCertificate(const openssl::PublicKey& key, const model::Id& endpoint,
                                Validity validity = {}) const;

 private:
  const base::Clock& clock_;
  const openssl::PrivateKey ca_key_;
  const std::string ca_pem_;
};

}  // namespace weighmaster::tests
