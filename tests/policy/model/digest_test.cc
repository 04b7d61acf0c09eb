#include "policy/model/digest.h"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>

namespace weighmaster::model {
namespace {

const std::string kHex = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

TEST(Sha256, IsReadWithAndWithoutItsPrefixInEitherCase) {
  EXPECT_EQ(ParseSha256(kHex).value().ToHex(), kHex);
  EXPECT_EQ(ParseSha256("sha256:" + kHex).value().ToHex(), kHex);
  std::string upper = kHex;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(ParseSha256(upper).value().ToHex(), kHex);
}

TEST(Sha256, SaysWhatIsWrongWithAText) {
  EXPECT_EQ(ParseSha256("abc").error().message(),
            "a SHA-256 has 3 characters instead of 64 hexadecimal digits");
  EXPECT_FALSE(ParseSha256(kHex.substr(0, 63) + "g").has_value());
  EXPECT_FALSE(ParseSha256("sha512:" + kHex).has_value());
  EXPECT_FALSE(ParseSha256("").has_value());
}

TEST(Sha256, TakesExactly32Bytes) {
  EXPECT_TRUE(Sha256FromBytes(base::Bytes(32)).has_value());
  EXPECT_FALSE(Sha256FromBytes(base::Bytes(31)).has_value());
  EXPECT_FALSE(Sha256FromBytes(base::Bytes(33)).has_value());
}

TEST(Sha256, ComparesByItsBytesAndCanBeAKey) {
  Sha256 low;
  Sha256 high;
  low.bytes[31] = 255;
  high.bytes[0] = 1;
  EXPECT_LT(low, high);
  const std::unordered_set<Sha256> set = {low, high, low};
  EXPECT_EQ(set.size(), 2U);
}

TEST(Id, IsZeroUntilItIsGiven) {
  EXPECT_TRUE(Id{}.is_zero());
  const Id id = ParseId("0102030405060708090a0b0c0d0e0f10").value();
  EXPECT_FALSE(id.is_zero());
  EXPECT_EQ(id.ToHex(), "0102030405060708090a0b0c0d0e0f10");
  EXPECT_FALSE(ParseId("01").has_value());
  EXPECT_FALSE(IdFromBytes(base::Bytes(15)).has_value());
}

}  // namespace
}  // namespace weighmaster::model
