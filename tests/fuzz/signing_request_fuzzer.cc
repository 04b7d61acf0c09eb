// A PKCS#10 request or a certificate, in DER, from a peer that is not known yet.

#include <cstddef>
#include <cstdint>

#include "third_party/openssl/certificate.h"

namespace openssl = weighmaster::openssl;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(openssl::VerifySigningRequest({data, size}));
  static_cast<void>(openssl::ParseCertificateDer({data, size}));
  static_cast<void>(openssl::PublicKey::FromSpki({data, size}));
  return 0;
}
