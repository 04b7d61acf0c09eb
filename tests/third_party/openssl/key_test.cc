#include "third_party/openssl/key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::openssl {
namespace {

using tests::TestKey;

const model::Sha256 kDigest = Sha256Of(base::AsBytes("what is signed"));

class KeyFile : public testing::Test {
 protected:
  KeyFile() {
    std::string pattern = testing::TempDir() + "/wm-key-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~KeyFile() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::string folder_;
};

TEST(Key, VerifiesWhatItSignedAndNothingElse) {
  const auto key = PrivateKey::Generate();
  ASSERT_TRUE(key);
  const auto signature = key->Sign(kDigest);
  ASSERT_TRUE(signature);
  EXPECT_TRUE(key->public_key().Verify(kDigest, *signature));
  EXPECT_FALSE(key->public_key().Verify(Sha256Of(base::AsBytes("another")), *signature));
  EXPECT_FALSE(TestKey(1).public_key().Verify(kDigest, *signature));
}

TEST(Key, RefusesEveryFlippedBitOfASignature) {
  const auto signature = TestKey(1).Sign(kDigest);
  ASSERT_TRUE(signature);
  for (std::size_t bit = 0; bit < signature->size() * 8; ++bit) {
    Signature flipped = *signature;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(TestKey(1).public_key().Verify(kDigest, flipped)) << "bit " << bit;
  }
}

TEST(Key, RefusesSignaturesWithZeroOrOversizedNumbers) {
  Signature all_zero{};
  EXPECT_FALSE(TestKey(1).public_key().Verify(kDigest, all_zero));
  Signature all_ones;
  all_ones.fill(0xff);
  EXPECT_FALSE(TestKey(1).public_key().Verify(kDigest, all_ones));
}

base::Bytes Hex(std::string_view text) { return base::HexDecode(text).value(); }

TEST(Key, AcceptsASignatureThatAnotherImplementationPublished) {
  // RFC 6979, section A.2.5: P-256, SHA-256 of "sample".
  base::Bytes spki = Hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
  const base::Bytes point =
      Hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
          "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
  spki.insert(spki.end(), point.begin(), point.end());
  const auto key = PublicKey::FromSpki(spki);
  ASSERT_TRUE(key);
  const auto signature =
      SignatureFromBytes(Hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                             "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"));
  ASSERT_TRUE(signature);
  EXPECT_TRUE(key->Verify(Sha256Of(base::AsBytes("sample")), *signature));
}

TEST(Key, NamesAPublicKeyByTheDigestOfItsSpki) {
  const PublicKey& key = TestKey(1).public_key();
  EXPECT_EQ(key.spki().size(), 91U);
  EXPECT_EQ(key.id(), Sha256Of(key.spki()));
  const auto again = PublicKey::FromSpki(key.spki());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id(), key.id());
}

TEST(Key, RefusesOtherSpkis) {
  const base::Bytes good = TestKey(1).public_key().spki();
  base::Bytes trailing = good;
  trailing.push_back(0);
  EXPECT_FALSE(PublicKey::FromSpki(trailing));
  EXPECT_FALSE(PublicKey::FromSpki(base::ByteView(good).first(good.size() - 1)));
  EXPECT_FALSE(PublicKey::FromSpki({}));
  base::Bytes off_curve = good;
  off_curve.back() ^= 1;
  EXPECT_FALSE(PublicKey::FromSpki(off_curve));
  // The same point, compressed.
  base::Bytes compressed = {0x30, 0x39, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                            0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                            0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x22, 0x00};
  compressed.push_back(good.back() % 2 == 0 ? 0x02 : 0x03);
  compressed.insert(compressed.end(), good.begin() + 27, good.begin() + 59);
  EXPECT_FALSE(PublicKey::FromSpki(compressed));
}

TEST(Key, RefusesSignaturesOfAnotherLength) {
  EXPECT_FALSE(SignatureFromBytes(base::Bytes(63)));
  EXPECT_FALSE(SignatureFromBytes(base::Bytes(65)));
  EXPECT_TRUE(SignatureFromBytes(base::Bytes(64)));
}

TEST(Key, SurvivesPem) {
  const std::string pem = TestKey(1).ToPem();
  EXPECT_TRUE(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
  const auto key = PrivateKey::FromPem(pem);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->public_key().id(), TestKey(1).public_key().id());
}

TEST(Key, RefusesTextsThatAreNoP256Key) {
  EXPECT_FALSE(PrivateKey::FromPem(""));
  EXPECT_FALSE(
      PrivateKey::FromPem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
  // Ed25519 (RFC 8410, section 10.3).
  EXPECT_FALSE(
      PrivateKey::FromPem("-----BEGIN PRIVATE KEY-----\n"
                          "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                          "-----END PRIVATE KEY-----\n"));
}

TEST(Key, SignsAndVerifiesFromManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 50; ++n) {
        const auto signature = TestKey(1).Sign(kDigest);
        ASSERT_TRUE(signature);
        ASSERT_TRUE(TestKey(1).public_key().Verify(kDigest, *signature));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(KeyFile, IsWrittenPrivateAndReadBack) {
  ASSERT_TRUE(TestKey(1).WriteNewFile(Path("key")));
  struct stat facts {};
  ASSERT_EQ(::stat(Path("key").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600U);
  const auto key = PrivateKey::FromFile(Path("key"));
  ASSERT_TRUE(key) << key.error().ToString();
  EXPECT_EQ(key->public_key().id(), TestKey(1).public_key().id());
}

TEST_F(KeyFile, NeverReplacesAFileAndLeavesNoOther) {
  ASSERT_TRUE(TestKey(1).WriteNewFile(Path("key")));
  const auto status = TestKey(2).WriteNewFile(Path("key"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), base::ErrorCode::kAlreadyExists);
  EXPECT_EQ(PrivateKey::FromFile(Path("key"))->public_key().id(), TestKey(1).public_key().id());
  const std::filesystem::directory_iterator entries(
      std::filesystem::path(Path("key")).parent_path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST_F(KeyFile, IsRefusedWhenOthersMayReadIt) {
  ASSERT_TRUE(TestKey(1).WriteNewFile(Path("key")));
  for (const mode_t mode : {0640U, 0604U, 0620U}) {
    ASSERT_EQ(::chmod(Path("key").c_str(), mode), 0);
    const auto key = PrivateKey::FromFile(Path("key"));
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code(), base::ErrorCode::kFailedPrecondition);
    EXPECT_NE(key.error().message().find("chmod 600"), std::string::npos);
  }
}

TEST_F(KeyFile, IsRefusedWhenItIsNoRegularFile) {
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  const auto key = PrivateKey::FromFile(Path("pipe"));
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code(), base::ErrorCode::kFailedPrecondition);
  EXPECT_EQ(PrivateKey::FromFile(Path("absent")).error().code(), base::ErrorCode::kNotFound);
}

TEST(PublicKeyPem, ComesBackAsTheSameKey) {
  const PublicKey& key = TestKey(1).public_key();
  const auto back = PublicKey::FromPem(key.ToPem());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id(), key.id());
}

TEST(PublicKeyPem, IsRefusedWhenItIsNone) {
  for (const std::string& text :
       {std::string(), std::string("-----BEGIN PUBLIC KEY-----\n"), TestKey(1).ToPem()}) {
    EXPECT_EQ(PublicKey::FromPem(text).error().code(), base::ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace weighmaster::openssl
