#pragma once

#include <string>

#include "agent/sync/grpc/connector.h"
#include "server/identity/fleet_files.h"

namespace weighmaster::bench {

// The fleet of a server that was made by `weighmaster-server init` in this folder: its address and
// its certificates, and certificates for the endpoints of tests/bench/endpoints.h, which thereby
// need no enrolment over the network (a server lets one address enrol five a second).
class FleetTrust {
 public:
  explicit FleetTrust(const std::string& folder);

  const server::identity::FleetFiles& files() const { return files_; }

  // How endpoint n reaches the server of the fleet, or whoever else listens at an address.
  agent::sync::ConnectorOptions OptionsFor(int n) const { return OptionsFor(n, address_); }
  agent::sync::ConnectorOptions OptionsFor(int n, const std::string& address) const;

 private:
  const server::identity::FleetFiles files_;
  const std::string address_;
};

}  // namespace weighmaster::bench
