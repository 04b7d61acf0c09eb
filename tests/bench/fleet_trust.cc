#include "tests/bench/fleet_trust.h"

#include "server/app/data_folder.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/bench/bench.h"
#include "tests/bench/endpoints.h"
#include "third_party/openssl/certificate.h"
#include "third_party/posix/system_clock.h"

namespace weighmaster::bench {

FleetTrust::FleetTrust(const std::string& folder)
    : files_(Must(server::identity::LoadFleet(folder))),
      address_(Must(server::app::LoadAddress(folder))) {}

agent::sync::ConnectorOptions FleetTrust::OptionsFor(int n, const std::string& address) const {
  const base::WallTime now = posix::SystemClock().Now();
  openssl::CertificateRequest request;
  request.common_name = EndpointId(n).ToHex();
  request.not_before = now - std::chrono::hours(1);
  request.not_after = now + std::chrono::hours(24);
  return {address, files_.ca_pem,
          Must(openssl::IssueCertificate(files_.ca_key, files_.ca_pem, EndpointKey(n).public_key(),
                                         request)),
          EndpointKey(n).ToPem()};
}

int Enrol(const Arguments& arguments) {
  const auto store = Must(server::store::SqliteStore::Open(server::app::StorePath(arguments[0])));
  EnrolEndpoints(*store, std::stoi(arguments[1]), posix::SystemClock().Now());
  return 0;
}

}  // namespace weighmaster::bench
