#include "agent/formats/keras/keras_hdf5.h"
#include "tests/fuzz/read_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weighmaster::fuzz::ReadFile(weighmaster::agent::formats::ParseKerasHdf5, data, size);
  return 0;
}
