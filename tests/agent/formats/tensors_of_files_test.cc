// What the readers say of the tensors of files that the formats' own producers wrote.

#include <gtest/gtest.h>

#include "agent/formats/recognise.h"
#include "agent/formats/tensors/tensor_map.h"
#include "tests/support/model_files.h"

namespace weighmaster::agent::formats {
namespace {

using model::WeightsReason;
using Numbers = std::vector<std::uint64_t>;

TensorMap MapOf(const base::Bytes& bytes) {
  MemorySource source(bytes);
  auto map = TensorMap::Decode(MapTensors(source), bytes.size());
  EXPECT_TRUE(map.has_value());
  return *std::move(map);
}

void ExpectTensor(const TensorMap& map, std::size_t index, std::string_view type,
                  const Numbers& dims) {
  ASSERT_LT(index, map.size());
  EXPECT_EQ(map.At(index).type->name, type);
  EXPECT_EQ(map.At(index).dims, dims);
}

TEST(TensorsOfFiles, OfSafetensorsLieBehindItsHeader) {
  const base::Bytes file = tests::ModelFixture("tiny.safetensors");
  const TensorMap map = MapOf(file);
  ASSERT_EQ(map.reason(), WeightsReason::kNone);
  ASSERT_EQ(map.size(), 2U);
  EXPECT_EQ(map.EndAt(1), file.size());
}

TEST(TensorsOfFiles, OfGgufHaveTheirExtentsTurnedAround) {
  const TensorMap little = MapOf(tests::ModelFixture("tiny.gguf"));
  ASSERT_EQ(little.reason(), WeightsReason::kNone);
  const TensorMap big = MapOf(tests::ModelFixture("tiny_big_endian.gguf"));
  ASSERT_EQ(big.reason(), WeightsReason::kNone);
  ASSERT_EQ(little.size(), big.size());
  for (std::size_t i = 0; i < little.size(); ++i) {
    EXPECT_FALSE(little.At(i).big_endian);
    EXPECT_TRUE(big.At(i).big_endian);
    EXPECT_EQ(little.At(i).dims, big.At(i).dims);
  }
}

TEST(TensorsOfFiles, OfPyTorchAreItsStoragesBesideOrBehindThePickle) {
  for (const std::string_view name : {"state_dict.pt", "legacy.pth"}) {
    const TensorMap map = MapOf(tests::ModelFixture(name));
    ASSERT_EQ(map.reason(), WeightsReason::kNone) << name;
    ASSERT_EQ(map.size(), 2U) << name;
    ExpectTensor(map, 0, "F16", {8, 8});
    ExpectTensor(map, 1, "F32", {8});
  }
}

TEST(TensorsOfFiles, AreNoneWherePyTorchsStoragesArePackedOrMissing) {
  EXPECT_EQ(MapOf(tests::ModelFixture("state_dict_deflated.pt")).reason(), WeightsReason::kPacked);
  base::Bytes legacy = tests::ModelFixture("legacy.pth");
  legacy.push_back(0);
  EXPECT_EQ(MapOf(legacy).reason(), WeightsReason::kIncomplete);
  legacy.resize(legacy.size() - 2);
  EXPECT_EQ(MapOf(legacy).reason(), WeightsReason::kIncomplete);
  // A file that only runs code rebuilds no tensor.
  EXPECT_EQ(MapOf(tests::ModelFixture("executes.pt")).reason(), WeightsReason::kNoTensors);
  EXPECT_EQ(MapOf(tests::ModelFixture("plain_protocol4.pkl")).reason(),
            WeightsReason::kNotSupported);
}

TEST(TensorsOfFiles, OfOnnxAreItsInitializers) {
  const TensorMap map = MapOf(tests::ModelFixture("tiny.onnx"));
  ASSERT_EQ(map.reason(), WeightsReason::kNone);
  ASSERT_EQ(map.size(), 1U);
  ExpectTensor(map, 0, "F32", {4, 4});
  EXPECT_EQ(MapOf(tests::ModelFixture("external_data_escapes.onnx")).reason(),
            WeightsReason::kIncomplete);
}

TEST(TensorsOfFiles, AreNoneOfWhatIsBroken) {
  base::Bytes file = tests::ModelFixture("tiny.safetensors");
  file.pop_back();
  EXPECT_EQ(MapOf(file).reason(), WeightsReason::kIncomplete);
  file = tests::ModelFixture("tiny.gguf");
  file.resize(file.size() / 2);
  EXPECT_EQ(MapOf(file).reason(), WeightsReason::kIncomplete);
  EXPECT_EQ(MapOf(base::Bytes(1'000, 7)).reason(), WeightsReason::kNotSupported);
}

TEST(TensorsOfFiles, AreNoneOfATypeThatIsNewerThanTheTable) {
  const base::Bytes file =
      tests::SafetensorsFile(R"({"a":{"dtype":"F2_NEW","shape":[4],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"Q4_0","shape":[4],"data_offsets":[4,8]}})",
                             8);
  EXPECT_EQ(MapOf(file).reason(), WeightsReason::kUnknownType);
}

}  // namespace
}  // namespace weighmaster::agent::formats
