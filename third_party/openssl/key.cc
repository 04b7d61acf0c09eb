#include "third_party/openssl/key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <utility>

#include "policy/base/check.h"
#include "third_party/openssl/key_file.h"
#include "third_party/openssl/key_handle.h"
#include "third_party/openssl/openssl_ptr.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::openssl {
namespace {

// Everything before the point's coordinates in the SubjectPublicKeyInfo of an uncompressed P-256
// key (RFC 5480): SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { 04 … } }. There
// is exactly one DER encoding of it, so that a comparison says more than a parser would.
constexpr std::array<std::uint8_t, 27> kSpkiPrefix = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
constexpr std::size_t kCoordinateBytes = 32;
constexpr std::size_t kSpkiBytes = kSpkiPrefix.size() + 2 * kCoordinateBytes;
constexpr std::size_t kMaxDerSignatureBytes = 72;

KeyPtr ParseSpki(const base::Bytes& spki) {
  const unsigned char* cursor = spki.data();
  return KeyPtr(d2i_PUBKEY(nullptr, &cursor, static_cast<long>(spki.size())));
}

base::Result<PublicKey> PublicPartOf(EVP_PKEY& key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(&key, &der);
  if (size <= 0) return LibraryError(base::ErrorCode::kInvalidArgument, "reading the public key");
  const base::Bytes spki(der, der + size);
  OPENSSL_free(der);
  return PublicKey::FromSpki(spki);
}

// DER, as OpenSSL takes and gives signatures.
base::Bytes ToDer(const Signature& signature) {
  const EcdsaSignaturePtr parts(ECDSA_SIG_new());
  WM_CHECK(parts != nullptr);
  BIGNUM* r = BN_bin2bn(signature.data(), kCoordinateBytes, nullptr);
  BIGNUM* s = BN_bin2bn(signature.data() + kCoordinateBytes, kCoordinateBytes, nullptr);
  WM_CHECK(r != nullptr && s != nullptr && ECDSA_SIG_set0(parts.get(), r, s) == 1);
  base::Bytes der(kMaxDerSignatureBytes);
  unsigned char* cursor = der.data();
  const int size = i2d_ECDSA_SIG(parts.get(), &cursor);
  WM_CHECK(size > 0 && static_cast<std::size_t>(size) <= der.size());
  der.resize(static_cast<std::size_t>(size));
  return der;
}

base::Result<Signature> FromDer(base::ByteView der) {
  const unsigned char* cursor = der.data();
  const EcdsaSignaturePtr parts(d2i_ECDSA_SIG(nullptr, &cursor, static_cast<long>(der.size())));
  Signature signature{};
  if (parts == nullptr ||
      BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), signature.data(), kCoordinateBytes) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), signature.data() + kCoordinateBytes,
                   kCoordinateBytes) < 0) {
    return LibraryError(base::ErrorCode::kInternal, "reading a signature just made");
  }
  return signature;
}

}  // namespace

base::Result<Signature> SignatureFromBytes(base::ByteView bytes) {
  Signature signature{};
  if (bytes.size() != signature.size()) {
    return base::InvalidArgument("a signature has " + std::to_string(bytes.size()) +
                                 " bytes instead of " + std::to_string(signature.size()));
  }
  std::ranges::copy(bytes, signature.begin());
  return signature;
}

struct PublicKey::Handle {
  KeyPtr key;
};

PublicKey::PublicKey(base::Bytes spki, std::shared_ptr<const Handle> handle)
    : spki_(std::move(spki)), id_(Sha256Of(spki_)), handle_(std::move(handle)) {}

base::Result<PublicKey> PublicKey::FromSpki(base::ByteView der) {
  if (der.size() != kSpkiBytes ||
      !std::equal(kSpkiPrefix.begin(), kSpkiPrefix.end(), der.begin())) {
    return base::InvalidArgument(
        "the key is no P-256 public key with an uncompressed point (SubjectPublicKeyInfo, " +
        std::to_string(kSpkiBytes) + " bytes of DER)");
  }
  base::Bytes spki(der.begin(), der.end());
  auto handle = std::make_shared<Handle>();
  handle->key = ParseSpki(spki);  // refuses a point that is not on the curve
  if (handle->key == nullptr) {
    return LibraryError(base::ErrorCode::kInvalidArgument, "the public key is not on its curve");
  }
  return PublicKey(std::move(spki), std::move(handle));
}

base::Result<PublicKey> PublicKey::FromPem(std::string_view pem) {
  const BioPtr bio = ReaderOf(pem);
  const KeyPtr key(PEM_read_bio_PUBKEY(bio.get(), nullptr, RefusePassword, nullptr));
  if (key == nullptr) {
    return LibraryError(base::ErrorCode::kInvalidArgument, "the text is no public key in PEM");
  }
  return PublicPartOf(*key);
}

std::string PublicKey::ToPem() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  WM_CHECK(bio != nullptr && PEM_write_bio_PUBKEY(bio.get(), handle_->key.get()) == 1);
  return TextOf(*bio);
}

bool PublicKey::Verify(const model::Sha256& digest, const Signature& signature) const {
  const base::Bytes der = ToDer(signature);
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, handle_->key.get(), nullptr));
  WM_CHECK(context != nullptr && EVP_PKEY_verify_init(context.get()) == 1);
  const bool good = EVP_PKEY_verify(context.get(), der.data(), der.size(), digest.bytes.data(),
                                    digest.bytes.size()) == 1;
  if (!good) ERR_clear_error();
  return good;
}

KeyPtr ToKeyObject(const PublicKey& key) {
  KeyPtr object = ParseSpki(key.spki());
  WM_CHECK(object != nullptr);
  return object;
}

PrivateKey::PrivateKey(std::shared_ptr<const Handle> handle, PublicKey public_key)
    : handle_(std::move(handle)), public_key_(std::move(public_key)) {}

base::Result<PrivateKey> PrivateKey::Generate() {
  auto handle = std::make_shared<Handle>();
  handle->key.reset(EVP_EC_gen("P-256"));
  if (handle->key == nullptr) return LibraryError(base::ErrorCode::kInternal, "making a P-256 key");
  WM_ASSIGN_OR_RETURN(PublicKey public_key, PublicPartOf(*handle->key));
  return PrivateKey(std::move(handle), std::move(public_key));
}

base::Result<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  const BioPtr bio = ReaderOf(pem);
  auto handle = std::make_shared<Handle>();
  handle->key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassword, nullptr));
  if (handle->key == nullptr) {
    return LibraryError(base::ErrorCode::kInvalidArgument,
                        "the text is no private key in PEM without a password");
  }
  WM_ASSIGN_OR_RETURN(PublicKey public_key, PublicPartOf(*handle->key));
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, handle->key.get(), nullptr));
  if (context == nullptr || EVP_PKEY_pairwise_check(context.get()) != 1) {
    return LibraryError(base::ErrorCode::kInvalidArgument,
                        "the private key does not belong to the public key beside it");
  }
  return PrivateKey(std::move(handle), std::move(public_key));
}

base::Result<PrivateKey> PrivateKey::FromFile(const std::string& path) {
  WM_ASSIGN_OR_RETURN(const std::string pem, ReadSecretFile(path));
  auto key = FromPem(pem);
  if (!key) return std::move(key).error().While("reading " + path);
  return key;
}

std::string PrivateKey::ToPem() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  WM_CHECK(bio != nullptr);
  WM_CHECK(PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->key.get(), nullptr, nullptr, 0,
                                         nullptr, nullptr) == 1);
  return TextOf(*bio);
}

base::Status PrivateKey::WriteNewFile(const std::string& path) const {
  return WriteNewSecretFile(path, ToPem());
}

base::Result<Signature> PrivateKey::Sign(const model::Sha256& digest) const {
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, handle_->key.get(), nullptr));
  std::array<std::uint8_t, kMaxDerSignatureBytes> der{};
  std::size_t size = der.size();
  if (context == nullptr || EVP_PKEY_sign_init(context.get()) != 1 ||
      EVP_PKEY_sign(context.get(), der.data(), &size, digest.bytes.data(), digest.bytes.size()) !=
          1) {
    return LibraryError(base::ErrorCode::kInternal, "signing");
  }
  return FromDer(base::ByteView(der).first(size));
}

}  // namespace weighmaster::openssl
