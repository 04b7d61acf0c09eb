#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "third_party/openssl/certificate.h"

namespace weighmaster::openssl {

// What one TLS handshake showed of a server, whether or not it is to be trusted.
struct TlsDiagnosis {
  // As the server sent it, the leaf first; at least one.
  std::vector<Certificate> chain;
  // Where an expected CA was given: why the chain does not lead to it, the leaf is not of this
  // name, or a date does not hold. One line for a person; empty when all is well.
  std::string verify_error;
};

// Connects to "host:port" and makes one TLS handshake without a client certificate: gRPC can't say
// why a connection fails, and first contact looks here for the CA whose digest is in the token.
// Nothing is sent after the handshake. Blocks at most `timeout` (and as long as the resolver
// needs), so it belongs on an Executor. The error is one line that names the hop that failed:
// INVALID_ARGUMENT for the address, NOT_FOUND for its name, UNAVAILABLE for the connection,
// DEADLINE_EXCEEDED for silence, FAILED_PRECONDITION where no TLS is spoken.
base::Result<TlsDiagnosis> DiagnoseTls(const std::string& address, base::Duration timeout,
                                       std::optional<std::string_view> expected_ca_pem = {});

}  // namespace weighmaster::openssl
