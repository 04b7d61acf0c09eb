#pragma once

#include <string>

#include "agent/sync/grpc/connector.h"
#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "proto/wire/trust.h"

namespace weighmaster::v1 {
class MachineFacts;
}  // namespace weighmaster::v1

namespace weighmaster::agent::sync {

// What a new endpoint has to keep. Everything in it has been checked against the token.
struct Enrolment {
  model::Id endpoint_id;
  std::string certificate_pem;
  std::string ca_pem;
  wire::SignedDocument root;
};

struct Renewal {
  std::string certificate_pem;
  std::string ca_pem;
};

// The two calls that come before and beside the stream. Both block for at most
// limits::kConnectTimeout and limits::kEnrolmentTimeout: for a pool thread or a CLI, never the
// loop. An error is one line that says what is wrong and what to do.
class EnrolmentClient {
 public:
  explicit EnrolmentClient(const base::Clock& clock) : clock_(clock) {}

  // First contact without trust on first use: the CA that the server shows must have the digest in
  // the token, gRPC trusts that CA alone, and the root that comes back must be signed by itself and
  // have the token's digest. `signing_request` is PKCS#10 in DER; the certificate that comes back
  // must be for its key and from that CA.
  base::Result<Enrolment> Enrol(const wire::EnrolmentToken& token, base::ByteView signing_request,
                                const v1::MachineFacts& machine) const;

  // With the certificate that is in `options`, expired or not.
  base::Result<Renewal> Renew(const ConnectorOptions& options,
                              base::ByteView signing_request) const;

 private:
  const base::Clock& clock_;
};

}  // namespace weighmaster::agent::sync
