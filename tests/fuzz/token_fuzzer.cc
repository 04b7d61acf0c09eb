// An enrolment token as a person pastes it; one that is read is written and read again as the same.

#include <cstddef>
#include <cstdint>

#include "policy/base/check.h"
#include "proto/wire/trust.h"

namespace base = weighmaster::base;
namespace wire = weighmaster::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto token = wire::ParseToken(base::AsText({data, size}));
  if (!token) return 0;
  const auto again = wire::ParseToken(wire::FormatToken(*token));
  WM_CHECK(again && again->secret == token->secret && again->address == token->address);
  return 0;
}
