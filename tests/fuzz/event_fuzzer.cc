// The body of an event; one that is read is written and read again as the same bytes.

#include <cstddef>
#include <cstdint>

#include "policy/base/check.h"
#include "proto/wire/convert.h"

namespace base = weighmaster::base;
namespace wire = weighmaster::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto event = wire::ParseEvent(base::AsText({data, size}));
  if (!event) return 0;
  const std::string bytes = wire::SerialiseEvent(*event);
  const auto again = wire::ParseEvent(bytes);
  WM_CHECK(again && wire::SerialiseEvent(*again) == bytes);
  return 0;
}
