#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/model/digest.h"

namespace weighmaster::openssl {

// SHA-256 over pieces whose state can be put away between two of them and taken up by another
// process. As fast as Sha256Hasher: the same assembly below. A value with one owner.
class ResumableSha256 {
 public:
  ResumableSha256();
  ~ResumableSha256();
  ResumableSha256(ResumableSha256&&) noexcept;
  ResumableSha256& operator=(ResumableSha256&&) noexcept;
  ResumableSha256(const ResumableSha256&) = delete;
  ResumableSha256& operator=(const ResumableSha256&) = delete;

  void Update(base::ByteView bytes);
  // How many bytes were hashed since the beginning, before a restore included.
  std::uint64_t size() const { return size_; }
  // The digest of everything, once; nothing may follow but destruction.
  model::Sha256 Finish();

  // A version byte (1), the eight state words (u32 big-endian), the count of bytes hashed (u64
  // big-endian), then the bytes of the last, unfinished block of 64.
  base::Bytes Serialise() const;
  // INVALID_ARGUMENT when the bytes are not of this form.
  static base::Result<ResumableSha256> Restore(base::ByteView state);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
  std::uint64_t size_ = 0;
};

}  // namespace weighmaster::openssl
