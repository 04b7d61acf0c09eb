#include "third_party/openssl/certificate.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "tests/support/keys.h"

namespace weighmaster::openssl {
namespace {

using std::chrono::hours;
using tests::kTestEpoch;
using tests::TestKey;

class CertificateTest : public testing::Test {
 protected:
  const PrivateKey& ca_key_ = TestKey(20);
  std::string ca_ =
      MakeCaCertificate(ca_key_, "Test CA", kTestEpoch, kTestEpoch + hours(24 * 3650)).value();
  CertificateRequest request_{.common_name = "endpoint",
                              .use = CertificateUse::kClient,
                              .dns_names = {},
                              .ip_addresses = {},
                              .not_before = kTestEpoch,
                              .not_after = kTestEpoch + hours(24 * 30)};
};

TEST_F(CertificateTest, CaSaysWhatItWasMadeFor) {
  const auto ca = ParseCertificate(ca_);
  ASSERT_TRUE(ca) << ca.error().ToString();
  EXPECT_EQ(ca->common_name, "Test CA");
  EXPECT_EQ(ca->not_before, kTestEpoch);
  EXPECT_EQ(ca->not_after, kTestEpoch + hours(24 * 3650));
  ASSERT_TRUE(ca->key);
  EXPECT_EQ(ca->key->id(), ca_key_.public_key().id());
  EXPECT_TRUE(IsIssuedBy(*ca, ca_));
}

TEST_F(CertificateTest, LeafChainsToItsCaAndToNoOther) {
  const auto pem = IssueCertificate(ca_key_, ca_, TestKey(21).public_key(), request_);
  ASSERT_TRUE(pem) << pem.error().ToString();
  const auto leaf = ParseCertificate(*pem);
  ASSERT_TRUE(leaf);
  EXPECT_EQ(leaf->common_name, "endpoint");
  EXPECT_EQ(leaf->key->id(), TestKey(21).public_key().id());
  EXPECT_TRUE(IsIssuedBy(*leaf, ca_));
  // The same name, another key.
  const auto impostor =
      MakeCaCertificate(TestKey(22), "Test CA", kTestEpoch, kTestEpoch + hours(1));
  ASSERT_TRUE(impostor);
  EXPECT_FALSE(IsIssuedBy(*leaf, *impostor));
}

TEST_F(CertificateTest, HasOneKey) {
  EXPECT_TRUE(IsKeyOf(ca_, ca_key_.ToPem()));
  EXPECT_FALSE(IsKeyOf(ca_, TestKey(22).ToPem()));
  EXPECT_FALSE(IsKeyOf("nonsense", ca_key_.ToPem()));
  EXPECT_FALSE(IsKeyOf(ca_, "nonsense"));
}

TEST_F(CertificateTest, LeafCanNotIssueCertificates) {
  const auto middle = IssueCertificate(ca_key_, ca_, TestKey(21).public_key(), request_);
  ASSERT_TRUE(middle);
  const auto below = IssueCertificate(TestKey(21), *middle, TestKey(22).public_key(), request_);
  ASSERT_TRUE(below);
  EXPECT_FALSE(IsIssuedBy(*ParseCertificate(*below), *middle));
}

TEST_F(CertificateTest, ExpiredLeafStillChains) {
  request_.not_after = kTestEpoch + hours(1);
  const auto pem = IssueCertificate(ca_key_, ca_, TestKey(21).public_key(), request_);
  EXPECT_TRUE(IsIssuedBy(*ParseCertificate(*pem), ca_));
}

TEST_F(CertificateTest, ServerLeafTakesNamesAndAddresses) {
  request_.use = CertificateUse::kServer;
  request_.dns_names = {"server.example"};
  request_.ip_addresses = {"127.0.0.1", "::1"};
  EXPECT_TRUE(IssueCertificate(ca_key_, ca_, TestKey(21).public_key(), request_));
  request_.ip_addresses = {"not an address"};
  const auto refused = IssueCertificate(ca_key_, ca_, TestKey(21).public_key(), request_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("not an address"), std::string::npos);
}

TEST_F(CertificateTest, IsNotIssuedForAnEmptyOrBackwardLife) {
  request_.not_after = request_.not_before;
  EXPECT_FALSE(IssueCertificate(ca_key_, ca_, TestKey(21).public_key(), request_));
}

TEST_F(CertificateTest, IsNotIssuedWithAKeyThatIsNotTheCas) {
  EXPECT_FALSE(IssueCertificate(TestKey(22), ca_, TestKey(21).public_key(), request_));
}

TEST_F(CertificateTest, EveryLeafHasASerialNumberOfItsOwn) {
  std::set<model::Sha256> digests;
  for (int i = 0; i < 8; ++i) {
    const auto pem = IssueCertificate(ca_key_, ca_, TestKey(21).public_key(), request_);
    // ECDSA signatures differ anyway, so the serial is compared where it lies in the DER.
    const auto leaf = ParseCertificate(*pem);
    const base::ByteView der = leaf->der;
    model::Sha256 serial;
    std::ranges::copy(der.subspan(13, 16), serial.bytes.begin());
    digests.insert(serial);
  }
  EXPECT_EQ(digests.size(), 8U);
}

TEST_F(CertificateTest, RefusesDamagedBytes) {
  const auto ca = ParseCertificate(ca_);
  base::Bytes trailing = ca->der;
  trailing.push_back(0);
  EXPECT_FALSE(ParseCertificateDer(trailing));
  EXPECT_TRUE(ParseCertificateDer(ca->der));
  EXPECT_EQ(ParseCertificateDer(ca->der)->digest, ca->digest);
  EXPECT_FALSE(ParseCertificate("no PEM"));
}

TEST_F(CertificateTest, SigningRequestGivesItsKeyOnlyWhenThatKeySignedIt) {
  auto der = MakeSigningRequest(TestKey(21), "endpoint");
  ASSERT_TRUE(der);
  const auto key = VerifySigningRequest(*der);
  ASSERT_TRUE(key) << key.error().ToString();
  EXPECT_EQ(key->id(), TestKey(21).public_key().id());
  for (std::size_t i = 0; i < der->size(); ++i) {
    base::Bytes flipped = *der;
    flipped[i] ^= 1;
    EXPECT_FALSE(VerifySigningRequest(flipped)) << "byte " << i;
  }
  der->push_back(0);
  EXPECT_FALSE(VerifySigningRequest(*der));
}

}  // namespace
}  // namespace weighmaster::openssl
