// A set of exceptions; one that is read is written and read again as the same set.

#include <cstddef>
#include <cstdint>

#include "policy/base/check.h"
#include "proto/wire/exceptions.h"

namespace base = weighmaster::base;
namespace wire = weighmaster::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto set = wire::ParseExceptions(base::AsText({data, size}));
  if (!set) return 0;
  const auto again = wire::ParseExceptions(wire::SerialiseExceptions(*set));
  WM_CHECK(again && *again == *set);
  return 0;
}
