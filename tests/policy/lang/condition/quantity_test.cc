#include "policy/lang/condition/quantity.h"

#include <gtest/gtest.h>

namespace weighmaster::lang {
namespace {

std::uint64_t Bytes(std::string_view text) {
  return ParseQuantity(text, engine::FieldUnit::kBytes).value_or(999'999'999'999);
}
bool IsBytes(std::string_view text) {
  return ParseQuantity(text, engine::FieldUnit::kBytes).has_value();
}

TEST(Quantity, ReadsBytesInPowersOf1000AndOf1024) {
  EXPECT_EQ(Bytes("0"), 0U);
  EXPECT_EQ(Bytes("42"), 42U);
  EXPECT_EQ(Bytes("42B"), 42U);
  EXPECT_EQ(Bytes("3kB"), 3000U);
  EXPECT_EQ(Bytes("3 KiB"), 3072U);
  EXPECT_EQ(Bytes("1GiB"), 1073741824U);
  EXPECT_EQ(Bytes("1.5GiB"), 1610612736U);
  EXPECT_EQ(Bytes("1.1TB"), 1'100'000'000'000U);
}

TEST(Quantity, ReadsCountsAsPeopleWriteThem) {
  EXPECT_EQ(ParseQuantity("8B", engine::FieldUnit::kCount).value(), 8'000'000'000U);
  EXPECT_EQ(ParseQuantity("0.5B", engine::FieldUnit::kCount).value(), 500'000'000U);
  EXPECT_EQ(ParseQuantity("350M", engine::FieldUnit::kCount).value(), 350'000'000U);
  EXPECT_FALSE(ParseQuantity("8GB", engine::FieldUnit::kCount).has_value());
}

TEST(Quantity, RefusesWhatCouldMeanTwoThings) {
  for (const std::string_view text :
       {"", "GiB", "1G", "1gb", "1Gb", "-1", "+1", "1,5GB", "1e9", "1.GB", ".5GB", "1.5", "1.5B",
        "1  GB", "0x10", "1 000", "1.0000000001GB"}) {
    EXPECT_FALSE(IsBytes(text)) << text;
  }
}

TEST(Quantity, RefusesWhatDoesNotFit64Bits) {
  EXPECT_EQ(ParseQuantity("18446744073709551615", engine::FieldUnit::kBytes).value(),
            18446744073709551615U);
  EXPECT_FALSE(IsBytes("18446744073709551616"));
  EXPECT_FALSE(IsBytes("16777216TiB"));
  EXPECT_TRUE(IsBytes("16777215.999TiB"));
  EXPECT_EQ(ParseQuantity("99999999999TB", engine::FieldUnit::kBytes).error().code(),
            base::ErrorCode::kOutOfRange);
}

TEST(Quantity, OfBytesIsWrittenExactlyAndReadBack) {
  const std::pair<std::uint64_t, std::string_view> texts[] = {
      {0, "0 B"},        {1'023, "1023 B"}, {65'536, "64 KiB"},   {2'000'000, "2 MB"},
      {1'500, "1500 B"}, {1'000, "1 kB"},   {1ULL << 30, "1 GiB"}};
  for (const auto& [bytes, text] : texts) {
    EXPECT_EQ(BytesText(bytes), text);
    EXPECT_EQ(ParseQuantity(text, engine::FieldUnit::kBytes).value(), bytes);
  }
}

}  // namespace
}  // namespace weighmaster::lang
