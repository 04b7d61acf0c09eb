// Files that the formats' own producers wrote (tests/fixtures/make_producers.py), each named after
// what it is.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>

#include "tests/agent/formats/parsed.h"

namespace weighmaster::agent::formats {
namespace {

const std::filesystem::path kProducers =
    std::filesystem::path(WEIGHMASTER_TREE) / "tests" / "fixtures" / "producers";

base::Bytes ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Producers, WriteFilesThatAreRecognisedAndRaiseNothing) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kProducers)) {
    const std::string name = entry.path().filename().string();
    if (name == "versions.txt") continue;
    ++files;
    const base::Bytes bytes = ReadFile(entry.path());
    const model::Facts facts = ParseBytes(bytes);
    EXPECT_NE(SniffBytes(bytes), model::Format::kUnknown) << name;
    EXPECT_EQ(model::FormatName(facts.format), name.substr(0, name.find_first_of("-."))) << name;
    EXPECT_EQ(WorstSeverity(facts), model::Severity::kInfo)
        << name << ": " << facts.risks.front().id << ", " << facts.risks.front().evidence;
  }
  EXPECT_EQ(files, 39U);
}

TEST(Producers, WriteFilesWhoseFactsAreRead) {
  struct Expected {
    const char* file;
    const char* architecture;
    const char* quantization;
    std::optional<std::uint64_t> parameters;
    std::optional<std::uint64_t> tensors;
  };
  const Expected all[] = {
      {"coreml-program.mlmodel", "ml_program", "F16", 3'120, 2},
      {"coreml.mlmodel", "neural_network", "F32", 3'120, 2},
      {"coreml_weights.bin", "", "F16", 3'120, 2},
      {"flax.msgpack", "", "F32", 16, 2},
      {"keras.keras", "Sequential", "F32", 19, 4},
      {"keras_hdf5.h5", "Sequential", "F32", 19, 4},
      {"keras_hdf5-weights.weights.h5", "", "F32", 19, 4},
      {"lightgbm.txt", "gbdt", "", {}, {}},
      {"numpy.npy", "", "F32", 20, 1},
      {"numpy-fortran.npy", "", "F16", 20, 1},
      {"numpy_zip.npz", "", "F32", 24, 2},
      {"numpy_zip-compressed.npz", "", "F32", 24, 2},
      {"onnx.onnx", "", "F32", 12, 1},
      {"openvino.xml", "", "F16", 12, 1},
      {"ort.ort", "", "F32", 12, 1},
      {"pmml.pmml", "RegressionModel", "", {}, {}},
      {"skops.skops", "Pipeline", "", {}, {}},
      {"tf_graph.pb", "", "F32", 19, 4},
      {"tflite.tflite", "", "F32", 15, 2},
      {"xgboost-json.model", "gbtree", "", {}, {}},
      {"xgboost.ubj", "gbtree", "", {}, {}},
  };
  for (const Expected& expected : all) {
    const model::Facts facts = ParseBytes(ReadFile(kProducers / expected.file));
    EXPECT_EQ(facts.architecture, expected.architecture) << expected.file;
    EXPECT_EQ(facts.quantization, expected.quantization) << expected.file;
    EXPECT_EQ(facts.parameters, expected.parameters) << expected.file;
    EXPECT_EQ(facts.tensor_count, expected.tensors) << expected.file;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
