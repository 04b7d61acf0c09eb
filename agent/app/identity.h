#pragma once

#include <optional>
#include <string>

#include "policy/base/result.h"
#include "policy/model/digest.h"
#include "proto/wire/trust.h"
#include "third_party/openssl/key.h"

namespace weighmaster::agent::app {

// What enrolment gave this endpoint, kept in the state folder as `enrolment.json` (mode 0600).
struct EnrolledIdentity {
  model::Id endpoint_id;
  std::string address;  // of the server, from the token
  std::string ca_pem;
  std::string certificate_pem;
  wire::SignedDocument root;  // the first one, pinned by the token's digest
};

// The endpoint's key, `endpoint.key` in the state folder. Made on this machine at the first start
// and never sent anywhere.
base::Result<openssl::PrivateKey> LoadOrMakeKey(const std::string& state_folder);
// Whether there is something under the key's name, usable or not.
bool HasKey(const std::string& state_folder);

// Nothing: this endpoint has not enrolled yet. A damaged file is an error that says what to do.
base::Result<std::optional<EnrolledIdentity>> LoadIdentity(const std::string& state_folder);
base::Status SaveIdentity(const std::string& state_folder, const EnrolledIdentity& identity);

}  // namespace weighmaster::agent::app
