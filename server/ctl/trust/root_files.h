#pragma once

#include <string>

#include "policy/base/result.h"
#include "proto/wire/trust.h"
#include "third_party/openssl/key.h"

namespace weighmaster::server::ctl {

// The files of the ceremony by which a fleet's root of trust changes (docs/formats/trust.md).

// A root document as it stands in a file, with the signatures that it has.
base::Result<wire::SignedDocument> ReadRootFile(const std::string& path);
// The same, believed because enough of its own root keys signed it.
base::Result<wire::Root> ReadTrustedRoot(const std::string& path);

// A public key in PEM, or the public part of a private one.
base::Result<openssl::PublicKey> ReadPublicKey(const std::string& path);

// FAILED_PRECONDITION unless the root names the key in the role.
base::Status CheckRole(const wire::Root& root, std::string_view role,
                       const openssl::PublicKey& key);

}  // namespace weighmaster::server::ctl
