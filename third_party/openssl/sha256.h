#pragma once

#include <memory>

#include "policy/base/bytes.h"
#include "policy/model/digest.h"

namespace weighmaster::openssl {

// SHA-256 of one buffer (FIPS 180-4, by OpenSSL's EVP).
model::Sha256 Sha256Of(base::ByteView bytes);

// SHA-256 over pieces. A value with one owner; reusable after Finish().
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;

  void Update(base::ByteView bytes);
  // Returns the digest of everything since construction or the last Finish(), and begins anew.
  model::Sha256 Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace weighmaster::openssl
