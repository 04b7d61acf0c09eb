#include "agent/weights/out_of_order.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "tests/agent/weights/naive_weights.h"

namespace weighmaster::agent::weights {
namespace {

using formats::FindElementType;
using formats::Tensor;
using Numbers = std::vector<std::uint64_t>;

base::Bytes RandomBytes(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  base::Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

void ExpectInOrder(const Tensor& tensor, const base::Bytes& file) {
  CountedFile counted{file};
  base::Bytes got;
  const auto status = ReadOutOfOrder(
      tensor,
      [&](std::uint64_t offset, std::span<std::uint8_t> out) { return counted.Read(offset, out); },
      [&got](base::ByteView piece) { got.insert(got.end(), piece.begin(), piece.end()); });
  ASSERT_TRUE(status.has_value());
  EXPECT_TRUE(got == NaiveElements(tensor, file));
  const auto work = OutOfOrderWork(tensor);
  ASSERT_TRUE(work.has_value());
  EXPECT_EQ(*work, counted.bytes_read + counted.reads * 8'192);
}

TEST(OutOfOrder, ReadsRandomViewsInTheirLogicalOrder) {
  std::mt19937 random(7);
  const auto below = [&random](std::uint64_t most) { return random() % most; };
  const base::Bytes file = RandomBytes(1 << 20, 8);
  constexpr std::string_view kTypes[] = {"U8", "F16", "F32", "C64", "C128"};
  for (int i = 0; i < 200; ++i) {
    Tensor tensor;
    tensor.type = FindElementType(kTypes[below(5)]);
    tensor.big_endian = below(2) == 0;
    tensor.begin = below(64);
    const std::size_t rank = 1 + below(4);
    for (std::size_t k = 0; k < rank; ++k) tensor.dims.push_back(1 + below(6));
    // Any order of the axes, with gaps.
    std::vector<std::size_t> order(rank);
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), random);
    tensor.strides.resize(rank);
    std::uint64_t stride = 1 + below(3);
    for (const std::size_t axis : order) {
      tensor.strides[axis] = stride;
      stride = stride * tensor.dims[axis] + below(3);
    }
    ExpectInOrder(tensor, file);
  }
}

TEST(OutOfOrder, ReadsWhatIsLargerThanATileOverSeveral) {
  const base::Bytes file = RandomBytes(6 << 20, 9);
  const Tensor across{FindElementType("F32"), {1'100, 1'000}, {1, 1'100}, 16, false};
  ExpectInOrder(across, file);
  const Tensor turned{FindElementType("C128"), {550, 501}, {}, 4, true};
  ExpectInOrder(turned, file);
  const Tensor deep{FindElementType("C64"), {3, 2, 100'003}, {200'021, 100'003, 1}, 0, true};
  ExpectInOrder(deep, file);
  const Tensor thin{FindElementType("C128"), {100'003, 3}, {1, 100'003}, 0, false};
  ExpectInOrder(thin, file);
}

TEST(OutOfOrder, ReadsInFewAndLargeReads) {
  // A transposed matrix of a million elements costs reading it about once.
  const Tensor across{FindElementType("F16"), {1'024, 1'024}, {1, 1'024}, 0, false};
  EXPECT_LE(*OutOfOrderWork(across), 3U * (1'024 * 8'192));
  const Tensor turned{FindElementType("F32"), {1'000'000, 3}, {}, 0, true};
  EXPECT_LE(*OutOfOrderWork(turned), 2U * 12'000'000);
}

TEST(OutOfOrder, TellsThePriceOfWhatCannotBeCounted) {
  const Tensor huge{FindElementType("U8"), {1ULL << 31, 1ULL << 30}, {1, 1ULL << 32}, 0, false};
  EXPECT_EQ(OutOfOrderWork(huge), std::nullopt);
}

TEST(OutOfOrder, EndsWhenTheFileCannotBeRead) {
  const Tensor tensor{FindElementType("F32"), {4, 4}, {1, 4}, 0, false};
  int left = 2;
  const auto status = ReadOutOfOrder(
      tensor,
      [&left](std::uint64_t, std::span<std::uint8_t>) -> base::Status {
        return left-- > 0 ? base::Status() : base::DataLoss("gone");
      },
      [](base::ByteView) { FAIL() << "of half a tile"; });
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), base::ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace weighmaster::agent::weights
