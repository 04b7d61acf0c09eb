#include "third_party/openssl/random.h"

#include <openssl/rand.h>

#include <algorithm>

#include "policy/base/check.h"

namespace weighmaster::openssl {

void SystemRandom::Fill(std::span<std::uint8_t> out) {
  constexpr std::size_t kMaxAtOnce = 1U << 20;  // RAND_bytes counts in int
  while (!out.empty()) {
    const std::size_t size = std::min(out.size(), kMaxAtOnce);
    WM_CHECK(RAND_bytes(out.data(), static_cast<int>(size)) == 1);
    out = out.subspan(size);
  }
}

}  // namespace weighmaster::openssl
