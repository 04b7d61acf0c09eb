#include "agent/formats/tensorflow/tf_js.h"
#include "tests/fuzz/read_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weighmaster::fuzz::ReadFile(weighmaster::agent::formats::ParseTfJs, data, size);
  return 0;
}
