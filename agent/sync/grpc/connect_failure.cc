#include "agent/sync/grpc/connect_failure.h"

#include <string>

#include "policy/base/bytes.h"
#include "policy/base/duration_words.h"
#include "policy/base/limits.h"
#include "third_party/openssl/certificate.h"
#include "third_party/openssl/handshake.h"

namespace weighmaster::agent::sync {

namespace {

// What a date of the server's certificate says, with both clocks as suspects; "" when it holds.
std::string DateFailure(const openssl::Certificate& server, base::WallTime now) {
  if (now > server.not_after) {
    return "its certificate expired " + base::InWords(now - server.not_after) +
           " ago by this machine's clock (" + base::FormatWallTime(now) +
           "); correct the clock if it is wrong, else renew the server's certificate";
  }
  if (now < server.not_before) {
    return "its certificate is not yet valid: by it this machine's clock (" +
           base::FormatWallTime(now) + ") is at least " + base::InWords(server.not_before - now) +
           " slow; correct the clock of this machine, or of the server if that one is fast";
  }
  return "";
}

base::Error OwnFailure(const ConnectorOptions& options, const base::Error& reported,
                       base::WallTime now) {
  if (!options.certificate_pem.empty()) {
    const auto own = openssl::ParseCertificate(options.certificate_pem);
    if (!own) {
      return base::FailedPrecondition("this endpoint's certificate can't be read (" +
                                      own.error().message() + "); enrol it again");
    }
    if (now > own->not_after) {
      return base::Unauthenticated("this endpoint's certificate expired " +
                                   base::InWords(now - own->not_after) +
                                   " ago; it has to be renewed before it can connect");
    }
  }
  return {reported.code(), "the server at " + options.address +
                               " was reached over TLS but did not keep the connection: " +
                               base::EscapeForDisplay(reported.message())};
}

}  // namespace

base::Error ExplainConnectFailure(const ConnectorOptions& options, const base::Error& reported,
                                  base::WallTime now) {
  const auto diagnosis =
      openssl::DiagnoseTls(options.address, base::limits::kConnectTimeout, options.ca_pem);
  if (!diagnosis) return diagnosis.error();
  if (diagnosis->verify_error.empty()) return OwnFailure(options, reported, now);
  const openssl::Certificate& server = diagnosis->chain.front();
  std::string why;
  if (openssl::IsIssuedBy(server, options.ca_pem)) why = DateFailure(server, now);
  if (why.empty()) why = diagnosis->verify_error;
  // Whoever answers there may not be the server at all (a captive portal): tried again like any
  // other failure.
  return base::Unavailable("the server at " + options.address + " is not trusted: " + why);
}

}  // namespace weighmaster::agent::sync
