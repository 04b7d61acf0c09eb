#include "third_party/openssl/sha256.h"

#include <gtest/gtest.h>

#include <string>

#include "third_party/openssl/random.h"

namespace weighmaster::openssl {
namespace {

TEST(Sha256, GivesThePublishedDigests) {
  // FIPS 180-4 examples.
  EXPECT_EQ(Sha256Of(base::AsBytes("")).ToHex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Of(base::AsBytes("abc")).ToHex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, IsTheSameInPiecesAndWhole) {
  Sha256Hasher hasher;
  for (const char c : std::string("weighmaster")) hasher.Update(base::AsBytes({&c, 1}));
  EXPECT_EQ(hasher.Finish(), Sha256Of(base::AsBytes("weighmaster")));
}

TEST(Sha256, BeginsAnewAfterFinish) {
  Sha256Hasher hasher;
  hasher.Update(base::AsBytes("first"));
  static_cast<void>(hasher.Finish());
  hasher.Update(base::AsBytes("abc"));
  EXPECT_EQ(hasher.Finish(), Sha256Of(base::AsBytes("abc")));
}

TEST(SystemRandom, FillsEveryByteAndNeverTwiceTheSame) {
  SystemRandom random;
  base::Bytes first((1U << 20) + 17);
  random.Fill(first);
  base::Bytes tail(first.end() - 64, first.end());
  EXPECT_NE(tail, base::Bytes(64));
  base::Bytes second(64);
  random.Fill(second);
  EXPECT_NE(second, tail);
}

}  // namespace
}  // namespace weighmaster::openssl
