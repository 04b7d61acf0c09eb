#pragma once

#include "policy/base/random.h"

namespace weighmaster::openssl {

// The operating system's randomness through OpenSSL's generator; a failure of it is a CHECK,
// because nothing safe can go on without.
class SystemRandom final : public base::Random {
 public:
  void Fill(std::span<std::uint8_t> out) override;
};

}  // namespace weighmaster::openssl
