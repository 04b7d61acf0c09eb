// EVP_MD_CTX can't be exported in OpenSSL 3; SHA256_CTX can, because its layout is public. It is
// deprecated there and still complete, so the warning is switched off for this one file.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "third_party/openssl/resumable_sha256.h"

#include <openssl/sha.h>

#include <cstring>

#include "policy/base/check.h"

namespace weighmaster::openssl {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kWords = 8;
constexpr std::size_t kFixedBytes = 1 + kWords * 4 + 8;

template <typename Integer>
void AppendBigEndian(base::Bytes& out, Integer value) {
  for (std::size_t i = sizeof value; i-- > 0;) {
    out.push_back(static_cast<std::uint8_t>((value >> (8 * i)) & 0xff));
  }
}

std::uint64_t ReadBigEndian(base::ByteView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = (value << 8) | byte;
  return value;
}

}  // namespace

struct ResumableSha256::Context {
  SHA256_CTX sha;
};

ResumableSha256::ResumableSha256() : context_(std::make_unique<Context>()) {
  WM_CHECK(SHA256_Init(&context_->sha) == 1);
}
ResumableSha256::~ResumableSha256() = default;
ResumableSha256::ResumableSha256(ResumableSha256&&) noexcept = default;
ResumableSha256& ResumableSha256::operator=(ResumableSha256&&) noexcept = default;

void ResumableSha256::Update(base::ByteView bytes) {
  WM_CHECK(SHA256_Update(&context_->sha, bytes.data(), bytes.size()) == 1);
  size_ += bytes.size();
}

model::Sha256 ResumableSha256::Finish() {
  model::Sha256 digest;
  WM_CHECK(SHA256_Final(digest.bytes.data(), &context_->sha) == 1);
  return digest;
}

base::Bytes ResumableSha256::Serialise() const {
  const SHA256_CTX& sha = context_->sha;
  base::Bytes out;
  out.reserve(kFixedBytes + SHA256_CBLOCK);
  out.push_back(kVersion);
  for (const SHA_LONG word : sha.h) AppendBigEndian(out, static_cast<std::uint32_t>(word));
  AppendBigEndian(out, size_);
  std::array<std::uint8_t, SHA256_CBLOCK> block{};
  std::memcpy(block.data(), sha.data, block.size());
  out.insert(out.end(), block.begin(), block.begin() + sha.num);
  return out;
}

base::Result<ResumableSha256> ResumableSha256::Restore(base::ByteView state) {
  if (state.size() < kFixedBytes || state[0] != kVersion) {
    return base::InvalidArgument("this is no hashing state of version 1");
  }
  const std::uint64_t size = ReadBigEndian(state.subspan(1 + kWords * 4, 8));
  const base::ByteView block = state.subspan(kFixedBytes);
  if (block.size() != size % SHA256_CBLOCK) {
    return base::InvalidArgument("the hashing state holds another number of bytes than it says");
  }
  ResumableSha256 hasher;
  SHA256_CTX& sha = hasher.context_->sha;
  for (std::size_t i = 0; i < kWords; ++i) {
    sha.h[i] = static_cast<SHA_LONG>(ReadBigEndian(state.subspan(1 + i * 4, 4)));
  }
  // The length is kept in bits, in two 32-bit halves.
  sha.Nl = static_cast<SHA_LONG>((size << 3) & 0xffffffff);
  sha.Nh = static_cast<SHA_LONG>((size >> 29) & 0xffffffff);
  sha.num = static_cast<unsigned int>(block.size());
  if (!block.empty()) std::memcpy(sha.data, block.data(), block.size());
  hasher.size_ = size;
  return hasher;
}

}  // namespace weighmaster::openssl
