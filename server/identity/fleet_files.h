#pragma once

#include <string>
#include <vector>

#include "policy/base/random.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "proto/wire/trust.h"
#include "third_party/openssl/key.h"

namespace weighmaster::server::identity {

// The keys and certificates of a fleet, in a folder of files that only their owner can read:
//
//   ca.key  ca.pem             signs the TLS certificates of server and endpoints
//   tls.key tls.pem            the server's TLS identity
//   ack.key                    the root's role "server": acknowledgements
//   root.signed                the root document; ReplaceRoot puts the next one there
//   offline-keys/root.key      signs the next root document
//   offline-keys/policy.key    signs policy; weighctl needs it, the server never does
//   offline-keys/exceptions.key  signs exceptions, likewise
//
// Those in offline-keys/ are meant to be moved away from the server.
struct FleetFiles {
  openssl::PrivateKey ca_key;
  std::string ca_pem;
  std::string tls_key_pem;
  std::string tls_pem;
  openssl::PrivateKey ack_key;
  wire::SignedDocument signed_root;
  wire::Root root;
};

struct NewFleet {
  // Names and addresses by which agents reach the server; at least one.
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  base::WallTime now;
};

// `weighmaster-server init`. Makes the folder if it is not there. ALREADY_EXISTS when one of the
// files is: an existing fleet is never overwritten, and one that a crash left half made is to be
// removed by a person. Blocks.
base::Status CreateFleet(const std::string& folder, const NewFleet& fleet, base::Random& random);

// For serving. FAILED_PRECONDITION names the file that is missing, readable by others or not fit.
base::Result<FleetFiles> LoadFleet(const std::string& folder);

// A root document that is to follow the fleet's own, from a file that `weighctl root sign` has
// signed. FAILED_PRECONDITION or UNAUTHENTICATED: endpoints would not follow it, it has expired, or
// this server's own key is none of its role "server".
struct NextRoot {
  wire::SignedDocument document;
  wire::Root root;
};
base::Result<NextRoot> ReadNextRoot(const std::string& path, const FleetFiles& files,
                                    base::WallTime now);
// Puts it in the place of root.signed, whole or not at all.
base::Status ReplaceRoot(const std::string& folder, const wire::SignedDocument& root);

}  // namespace weighmaster::server::identity
