#include "third_party/openssl/sha256.h"

#include <openssl/evp.h>

#include "policy/base/check.h"
#include "third_party/openssl/openssl_ptr.h"

namespace weighmaster::openssl {
namespace {

// EVP_sha256() is looked up anew at each use, which costs more than hashing a short text; a fetched
// algorithm is kept for the life of the program and may be shared by threads.
const EVP_MD* Algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  WM_CHECK(algorithm != nullptr);
  return algorithm;
}

}  // namespace

struct Sha256Hasher::Context {
  std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>> md{EVP_MD_CTX_new()};
};

model::Sha256 Sha256Of(base::ByteView bytes) {
  model::Sha256 digest;
  WM_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.bytes.data(), nullptr, Algorithm(),
                      nullptr) == 1);
  return digest;
}

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {
  WM_CHECK(context_->md != nullptr);
  WM_CHECK(EVP_DigestInit_ex2(context_->md.get(), Algorithm(), nullptr) == 1);
}

Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::Update(base::ByteView bytes) {
  WM_CHECK(EVP_DigestUpdate(context_->md.get(), bytes.data(), bytes.size()) == 1);
}

model::Sha256 Sha256Hasher::Finish() {
  model::Sha256 digest;
  unsigned int size = 0;
  WM_CHECK(EVP_DigestFinal_ex(context_->md.get(), digest.bytes.data(), &size) == 1);
  WM_CHECK(size == model::Sha256::kBytes);
  WM_CHECK(EVP_DigestInit_ex2(context_->md.get(), Algorithm(), nullptr) == 1);
  return digest;
}

}  // namespace weighmaster::openssl
