#include <cstddef>
#include <cstdint>

#include "agent/formats/weights/gguf.h"

// Any bytes as a file of this format: whatever they say, it ends within the budget and its memory.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weighmaster::agent::formats;  // NOLINT(google-build-using-namespace)
  MemorySource source({data, size});
  WorkBudget budget(50'000'000);
  ParseGguf(source, budget);
  return 0;
}
