#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "agent/formats/recognise.h"

// Any bytes as any file: what the sniffer calls no model is none for the parser either.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weighmaster;                  // NOLINT(google-build-using-namespace)
  using namespace weighmaster::agent::formats;  // NOLINT(google-build-using-namespace)
  const base::ByteView bytes(data, size);
  const model::Format sniffed = Sniff({bytes.first(std::min(size, kSniffHeadBytes)),
                                       bytes.last(std::min(size, kSniffTailBytes)), size});
  MemorySource source(bytes);
  const model::Facts facts = Parse(source);
  if (sniffed == model::Format::kUnknown && facts.format != model::Format::kUnknown) std::abort();
  return 0;
}
