#pragma once

#include "third_party/openssl/key.h"
#include "third_party/openssl/openssl_ptr.h"

namespace weighmaster::openssl {

// Never changed once made. OpenSSL allows any number of threads to use one EVP_PKEY through
// contexts of their own; that is why each signature makes a context. For this room's sources only.
struct PrivateKey::Handle {
  KeyPtr key;
};

// A key object of its own for a public key that has been checked.
KeyPtr ToKeyObject(const PublicKey& key);

}  // namespace weighmaster::openssl
