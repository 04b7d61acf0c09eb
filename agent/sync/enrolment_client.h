#pragma once

#include <string>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "proto/wire/trust.h"

namespace weighmaster::v1 {
class MachineFacts;
}  // namespace weighmaster::v1

namespace weighmaster::agent::sync {

// Where the server is and who we are to it.
struct ConnectorOptions {
  std::string address;          // "host:port"
  std::string ca_pem;           // the only CA that is trusted
  std::string certificate_pem;  // of this endpoint; "" for calls that need none
  std::string private_key_pem;
};

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

// The two calls that come before and beside the stream. Both block, for a bounded time: for a pool
// thread or a CLI, never the loop; any thread may call them. An error is one line that says what is
// wrong and what to do.
class EnrolmentClient {
 public:
  virtual ~EnrolmentClient() = default;

  // First contact without trust on first use: the CA that the server shows must have the digest in
  // the token, that CA alone is trusted, and the root that comes back must be signed by itself and
  // have the token's digest. `signing_request` is PKCS#10 in DER; the certificate that comes back
  // must be for its key and from that CA.
  virtual base::Result<Enrolment> Enrol(const wire::EnrolmentToken& token,
                                        base::ByteView signing_request,
                                        const v1::MachineFacts& machine) const = 0;

  // With the certificate that is in `options`, expired or not.
  virtual base::Result<Renewal> Renew(const ConnectorOptions& options,
                                      base::ByteView signing_request) const = 0;
};

}  // namespace weighmaster::agent::sync
