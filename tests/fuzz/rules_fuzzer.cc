// The rules part of a bundle; one that is read is written and read again as the same rules.

#include <cstddef>
#include <cstdint>

#include "policy/base/check.h"
#include "proto/wire/convert.h"

namespace base = weighmaster::base;
namespace wire = weighmaster::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto rules = wire::ParseRules(base::AsText({data, size}));
  if (!rules) return 0;
  const auto again = wire::ParseRules(wire::SerialiseRules(*rules));
  WM_CHECK(again && *again == *rules);
  return 0;
}
