#include "agent/formats/tensors/element_type.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string_view>

namespace weighmaster::agent::formats {
namespace {

using Dims = std::vector<std::uint64_t>;

TEST(ElementType, IsFoundByANameThatIsItsOwn) {
  std::set<std::string_view> names;
  for (const ElementType& type : ElementTypes()) {
    EXPECT_TRUE(names.insert(type.name).second) << type.name;
    EXPECT_EQ(FindElementType(type.name), &type);
    EXPECT_GT(type.block_bytes, 0U) << type.name;
    EXPECT_EQ(type.word_bytes == 0 ? 0U : type.block_bytes % type.word_bytes, 0U) << type.name;
  }
  EXPECT_EQ(FindElementType("Q4_K_M"), nullptr);
}

TEST(ElementType, SaysHowManyBytesATensorIs) {
  const auto bytes = [](std::string_view type, const Dims& dims) {
    return BytesOf(*FindElementType(type), dims);
  };
  EXPECT_EQ(bytes("F32", {}), 4U);
  EXPECT_EQ(bytes("F32", {3, 5}), 60U);
  EXPECT_EQ(bytes("F32", {3, 0, 5}), 0U);
  EXPECT_EQ(bytes("C128", {2}), 32U);
  EXPECT_EQ(bytes("Q4_K", {3, 512}), 3U * 2U * 144U);
  EXPECT_EQ(bytes("F6_E2M3", {4}), 3U);
}

TEST(ElementType, RefusesWhatIsNoWholeNumberOfBlocksOrCannotBeCounted) {
  // A block of ggml ends with its row; packed elements go on over it.
  EXPECT_EQ(BytesOf(*FindElementType("Q4_0"), Dims{32, 16}), std::nullopt);
  EXPECT_EQ(BytesOf(*FindElementType("Q4_0"), Dims{}), std::nullopt);
  EXPECT_EQ(BytesOf(*FindElementType("F4"), Dims{2, 3}), 3U);
  EXPECT_EQ(BytesOf(*FindElementType("F4"), Dims{3, 3}), std::nullopt);
  constexpr std::uint64_t kLarge = std::uint64_t{1} << 40;
  EXPECT_EQ(BytesOf(*FindElementType("U8"), Dims{kLarge, kLarge}), std::nullopt);
  EXPECT_EQ(BytesOf(*FindElementType("C128"), Dims{kLarge, kLarge >> 18}), std::nullopt);
}

}  // namespace
}  // namespace weighmaster::agent::formats
