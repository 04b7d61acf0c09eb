#include "agent/sensors/artifacts/weights_lane.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace weighmaster::agent::sensors {
namespace {

weights::WeightsHasher HasherOf(std::uint64_t bytes) {
  formats::TensorMapWriter writer(true);
  writer.Begin();
  writer.Add({formats::FindElementType("U8"), {bytes}, {}, 0, false});
  return weights::WeightsHasher(
      formats::TensorMap::Decode(std::move(writer).Take(), bytes).value());
}

model::Sha256 DigestOf(weights::WeightsHasher hasher) {
  const auto nothing_to_read = [](std::uint64_t, std::span<std::uint8_t>) -> base::Status {
    return base::Internal("everything lies in its order");
  };
  return weights::WeightsDigestOf(std::move(hasher).Finish(nothing_to_read).value());
}

TEST(WeightsLane, HashesEverythingThatItIsGivenInItsOrder) {
  constexpr std::size_t kChunk = 1'000;
  base::Bytes file(123'456);
  for (std::size_t i = 0; i < file.size(); ++i) file[i] = static_cast<std::uint8_t>(i * 7 >> 3);
  weights::WeightsHasher expected = HasherOf(file.size());
  expected.Update(file);
  weights::WeightsHasher hasher = HasherOf(file.size());
  {
    WeightsLane lane(hasher, kChunk, false);
    for (std::size_t at = 0; at < file.size();) {
      base::Bytes& chunk = lane.Take();
      ASSERT_EQ(chunk.size(), kChunk);
      const std::size_t count = std::min(kChunk, file.size() - at);
      std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at), count, chunk.begin());
      lane.Give(count);
      at += count;
      if (at % 7'000 == 0) {
        lane.Wait();
        EXPECT_EQ(hasher.size(), at);
      }
    }
  }
  EXPECT_EQ(hasher.size(), file.size());
  EXPECT_EQ(DigestOf(std::move(hasher)), DigestOf(std::move(expected)));
}

TEST(WeightsLane, EndsWhereNothingWasGiven) {
  weights::WeightsHasher hasher = HasherOf(10);
  { const WeightsLane lane(hasher, 10, true); }
  EXPECT_EQ(hasher.size(), 0U);
}

}  // namespace
}  // namespace weighmaster::agent::sensors
