#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/digest.h"

namespace weighmaster::openssl {

// An ECDSA P-256 signature as the fixed 64 bytes r‖s, both big-endian (IEEE P1363 form).
using Signature = std::array<std::uint8_t, 64>;
base::Result<Signature> SignatureFromBytes(base::ByteView bytes);

// A P-256 public key. Its id is the SHA-256 of its SubjectPublicKeyInfo in DER (RFC 5480), with the
// point uncompressed. A cheap value to copy.
class PublicKey {
 public:
  // Refuses other curves, other encodings of the point, and trailing bytes.
  static base::Result<PublicKey> FromSpki(base::ByteView der);
  // "-----BEGIN PUBLIC KEY-----" (RFC 7468).
  static base::Result<PublicKey> FromPem(std::string_view pem);
  std::string ToPem() const;

  const base::Bytes& spki() const { return spki_; }
  const model::Sha256& id() const { return id_; }

  // Whether `signature` is this key's over the 32-byte `digest` itself (ECDSA on a given digest,
  // FIPS 186-5 without the hashing step). Constant results for malformed r or s: false.
  bool Verify(const model::Sha256& digest, const Signature& signature) const;

 private:
  struct Handle;
  PublicKey(base::Bytes spki, std::shared_ptr<const Handle> handle);
  base::Bytes spki_;
  model::Sha256 id_;
  std::shared_ptr<const Handle> handle_;
};

// What signs: the endpoint's key in a file today, in a TPM later. Callable from any thread.
class Signer {
 public:
  virtual ~Signer() = default;
  virtual const PublicKey& public_key() const = 0;
  virtual base::Result<Signature> Sign(const model::Sha256& digest) const = 0;
};

// A P-256 key in memory, read from and written to PKCS#8 PEM.
class PrivateKey final : public Signer {
 public:
  static base::Result<PrivateKey> Generate();
  static base::Result<PrivateKey> FromPem(std::string_view pem);
  // The file must be a regular file that no other user can read; otherwise FAILED_PRECONDITION.
  static base::Result<PrivateKey> FromFile(const std::string& path);

  std::string ToPem() const;
  // Writes a new file with mode 0600 and makes it durable; an existing file is ALREADY_EXISTS.
  base::Status WriteNewFile(const std::string& path) const;

  const PublicKey& public_key() const override { return public_key_; }
  base::Result<Signature> Sign(const model::Sha256& digest) const override;

  struct Handle;
  // For certificates, in this room only.
  const Handle& handle() const { return *handle_; }

 private:
  PrivateKey(std::shared_ptr<const Handle> handle, PublicKey public_key);
  std::shared_ptr<const Handle> handle_;
  PublicKey public_key_;
};

}  // namespace weighmaster::openssl
