#include "agent/formats/tensors/tensor_map.h"

#include <gtest/gtest.h>

#include <random>

#include "policy/base/limits.h"

namespace weighmaster::agent::formats {
namespace {

using model::WeightsReason;
using Numbers = std::vector<std::uint64_t>;

Tensor Floats(Numbers dims, std::uint64_t begin, Numbers strides = {}) {
  return {FindElementType("F32"), std::move(dims), std::move(strides), begin, false};
}

base::Bytes Encode(const std::vector<Tensor>& tensors, std::uint64_t base = 0) {
  TensorMapWriter writer(true);
  writer.Begin();
  writer.set_base(base);
  for (const Tensor& tensor : tensors) writer.Add(tensor);
  return std::move(writer).Take();
}

TensorMap MapOf(const std::vector<Tensor>& tensors, std::uint64_t file_bytes) {
  auto map = TensorMap::Decode(Encode(tensors), file_bytes);
  EXPECT_TRUE(map.has_value());
  return *std::move(map);
}

WeightsReason ReasonOf(const std::vector<Tensor>& tensors, std::uint64_t file_bytes) {
  return MapOf(tensors, file_bytes).reason();
}

TEST(TensorMap, ComesBackInTheOrderOfItsBytes) {
  const TensorMap map = MapOf({Floats({2, 3}, 100), Floats({}, 40), Floats({4}, 60)}, 200);
  ASSERT_EQ(map.reason(), WeightsReason::kNone);
  ASSERT_EQ(map.size(), 3U);
  EXPECT_EQ(map.BeginAt(0), 40U);
  EXPECT_EQ(map.EndAt(0), 44U);
  EXPECT_EQ(map.At(1).dims, Numbers({4}));
  EXPECT_EQ(map.BytesAt(2), 24U);
  EXPECT_EQ(map.At(2).dims, Numbers({2, 3}));
  EXPECT_EQ(map.At(2).type->name, "F32");
  EXPECT_TRUE(map.IsInOrderAt(2));
}

TEST(TensorMap, CountsFromItsBase) {
  const auto map = TensorMap::Decode(Encode({Floats({2}, 8)}, 1'000), 2'000);
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->BeginAt(0), 1'008U);
}

TEST(TensorMap, HoldsViewsOfTheSameBytesOnceAndOthersEach) {
  EXPECT_EQ(MapOf({Floats({4}, 0), Floats({4}, 0)}, 16).size(), 1U);
  EXPECT_EQ(MapOf({Floats({4}, 0), Floats({1, 4}, 0)}, 16).size(), 1U) << "the same without ones";
  EXPECT_EQ(MapOf({Floats({4}, 0), Floats({2, 2}, 0)}, 16).size(), 2U);
  EXPECT_EQ(MapOf({Floats({2, 2}, 0), Floats({2, 2}, 0, {1, 2})}, 16).size(), 2U);
  Tensor other = Floats({4}, 0);
  other.type = FindElementType("I32");
  EXPECT_EQ(MapOf({Floats({4}, 0), other}, 16).size(), 2U);
}

TEST(TensorMap, LeavesOutWhatHasNoElements) {
  EXPECT_EQ(MapOf({Floats({0}, 0), Floats({2}, 0), Floats({3, 0}, 999)}, 8).size(), 1U);
  EXPECT_EQ(ReasonOf({Floats({0}, 0)}, 8), WeightsReason::kNoTensors);
  EXPECT_EQ(ReasonOf({}, 8), WeightsReason::kNoTensors);
}

TEST(TensorMap, KnowsStridesThatMeanNothing) {
  EXPECT_TRUE(MapOf({Floats({2, 3}, 0, {3, 1})}, 24).IsInOrderAt(0));
  EXPECT_TRUE(MapOf({Floats({1, 3}, 0, {77, 1})}, 12).IsInOrderAt(0));
  EXPECT_TRUE(MapOf({Floats({1, 3, 1}, 0, {0, 1, 0})}, 12).IsInOrderAt(0));
  const TensorMap map = MapOf({Floats({1, 3, 1, 2}, 0, {9, 1, 5, 3})}, 24);
  EXPECT_FALSE(map.IsInOrderAt(0));
  EXPECT_EQ(map.At(0).dims, Numbers({3, 1, 2}));
  EXPECT_EQ(map.At(0).strides, Numbers({1, 0, 3}));
}

TEST(TensorMap, SpansTheGapsOfStrides) {
  const TensorMap map = MapOf({Floats({2, 2}, 8, {10, 4})}, 100);
  EXPECT_EQ(map.BytesAt(0), 16U);
  EXPECT_EQ(map.EndAt(0), 8U + 4U * 15U);
  EXPECT_FALSE(map.IsInOrderAt(0));
}

TEST(TensorMap, HasNoDigestForStridesThatRepeatBytes) {
  EXPECT_EQ(ReasonOf({Floats({4}, 0, {0})}, 100), WeightsReason::kRepeats);
  EXPECT_EQ(ReasonOf({Floats({3, 2}, 0, {1, 1})}, 100), WeightsReason::kRepeats);
  EXPECT_EQ(ReasonOf({Floats({3, 2}, 0, {2, 1})}, 100), WeightsReason::kNone);
}

TEST(TensorMap, HasNoDigestForBytesThatAreNotThere) {
  EXPECT_EQ(ReasonOf({Floats({4}, 0)}, 15), WeightsReason::kIncomplete);
  EXPECT_EQ(ReasonOf({Floats({4}, UINT64_MAX - 3)}, 1'000), WeightsReason::kIncomplete);
  EXPECT_EQ(ReasonOf({Floats({2, 2}, 0, {UINT64_MAX / 2, 1})}, 1'000), WeightsReason::kIncomplete);
  EXPECT_EQ(ReasonOf({Floats({UINT64_MAX / 2, 3}, 0)}, 1'000), WeightsReason::kIncomplete);
  const auto map = TensorMap::Decode(Encode({Floats({2}, 8)}, UINT64_MAX), 2'000);
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->reason(), WeightsReason::kIncomplete);
}

TEST(TensorMap, HasNoDigestForBlocksThatCannotBeTurnedAroundOrStrided) {
  Tensor blocks{FindElementType("Q8_0"), {2, 32}, {}, 0, true};
  EXPECT_EQ(ReasonOf({blocks}, 100), WeightsReason::kUnknownType);
  blocks.big_endian = false;
  EXPECT_EQ(ReasonOf({blocks}, 100), WeightsReason::kNone);
  blocks.strides = {1, 2};
  EXPECT_EQ(ReasonOf({blocks}, 100), WeightsReason::kUnknownType);
  Tensor bytes{FindElementType("U8"), {4}, {}, 0, true};
  EXPECT_TRUE(MapOf({bytes}, 100).IsInOrderAt(0)) << "a byte has no order";
}

TEST(TensorMap, HasNoDigestForMoreWorkThanReadingTheFileTwice) {
  std::vector<Tensor> views;
  for (std::uint64_t i = 0; i < 4; ++i) views.push_back(Floats({25 - i}, 4 * i));
  EXPECT_EQ(ReasonOf({views.begin(), views.begin() + 2}, 100), WeightsReason::kNone);
  EXPECT_EQ(ReasonOf(views, 100), WeightsReason::kRepeats);
}

TEST(TensorMap, HasNoDigestForTooManyThatOverlap) {
  std::vector<Tensor> views;
  for (std::uint64_t i = 0; i <= base::limits::kMaxOverlappingTensors; ++i) {
    views.push_back(Floats({1'000}, 4 * i));
  }
  constexpr std::uint64_t kLarge = 1'000'000;
  EXPECT_EQ(ReasonOf(views, kLarge), WeightsReason::kRepeats);
  views.pop_back();
  EXPECT_EQ(ReasonOf(views, kLarge), WeightsReason::kNone);
}

TEST(TensorMap, HoldsTheFirstReasonAndNothingElse) {
  TensorMapWriter writer(true);
  writer.Begin();
  writer.Add(Floats({2}, 0));
  writer.Fail(WeightsReason::kSparse);
  writer.Fail(WeightsReason::kScales);
  writer.Add(Floats({2}, 0));
  const base::Bytes encoded = std::move(writer).Take();
  EXPECT_LT(encoded.size(), 8U);
  const auto map = TensorMap::Decode(encoded, 8);
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->reason(), WeightsReason::kSparse);
  EXPECT_EQ(map->size(), 0U);
}

TEST(TensorMap, IsNotSupportedWhereNobodyLookedForTensors) {
  const auto map = TensorMap::Decode(TensorMapWriter(true).Take(), 8);
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->reason(), WeightsReason::kNotSupported);
}

TEST(TensorMap, EndsAtItsLimits) {
  TensorMapWriter writer(true);
  writer.Begin();
  for (std::size_t i = 0; i <= base::limits::kMaxMappedTensors; ++i) writer.Add(Floats({}, 0));
  const auto map = TensorMap::Decode(std::move(writer).Take(), 8);
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->reason(), WeightsReason::kIncomplete);
}

TEST(TensorMap, RefusesWhatIsNone) {
  EXPECT_FALSE(TensorMap::Decode({}, 8).has_value());
  for (const base::Bytes& bytes :
       {base::Bytes{1}, base::Bytes{2, 0, 0}, base::Bytes{1, 99}, base::Bytes{1, 0},
        base::Bytes{1, 0, 0, 200, 0}, base::Bytes{1, 0, 0, 0, 0, 99}, base::Bytes{1, 0, 0, 0}}) {
    EXPECT_FALSE(TensorMap::Decode(bytes, 8).has_value()) << bytes.size();
  }
  // Cut anywhere and with any byte changed it is refused or holds what is promised.
  const base::Bytes good = Encode({Floats({2, 3}, 8, {1, 2}), Floats({300}, 4)}, 5);
  std::mt19937 random(1);
  for (std::size_t i = 0; i < good.size(); ++i) {
    static_cast<void>(TensorMap::Decode(base::ByteView(good).first(i), 5'000));
    base::Bytes changed = good;
    changed[i] = static_cast<std::uint8_t>(random());
    const auto map = TensorMap::Decode(changed, 5'000);
    if (!map.has_value()) continue;
    for (std::size_t j = 0; j < map->size(); ++j) {
      EXPECT_LE(map->EndAt(j), 5'000U);
      EXPECT_GT(map->BytesAt(j), 0U);
    }
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
