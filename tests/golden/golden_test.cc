// Every file that was ever released is read and verified by today's code, and the values that it
// was made from still give its bytes.

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "proto/wire/convert.h"
#include "proto/wire/merkle.h"
#include "tests/golden/values.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/batch.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::tests {
namespace {

std::string ReadGolden(const std::string& name) {
  std::ifstream file(std::string(WEIGHMASTER_GOLDEN) + "/v1/" + name, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_FALSE(bytes.empty()) << name;
  return bytes;
}

template <typename Proto>
auto ReadDocument(const std::string& name) {
  Proto proto;
  EXPECT_TRUE(proto.ParseFromString(ReadGolden(name))) << name;
  auto value = wire::FromProto(proto);
  EXPECT_TRUE(value) << name << ": " << value.error().ToString();
  return *std::move(value);
}

const openssl::PublicKey& EndpointKey() { return TestKey(10).public_key(); }

TEST(GoldenV1, EndpointKeyIsTheTestKey) {
  EXPECT_EQ(ReadGolden("endpoint_key.spki"), base::AsText(EndpointKey().spki()));
}

TEST(GoldenV1, BatchesVerify) {
  for (const char* name : {"batch.bin", "batch_one_body_dropped.bin", "batch_header_only.bin"}) {
    const auto batch = ReadDocument<v1::SealedBatch>(name);
    EXPECT_EQ(batch.header, ReadGolden("header.bin"));
    const auto header = wire::VerifyBatch(batch, EndpointKey());
    ASSERT_TRUE(header) << name << ": " << header.error().ToString();
    EXPECT_EQ(header->number, 7U);
    EXPECT_EQ(header->first_event, 42U);
    EXPECT_EQ(header->event_count, 3U);
  }
}

TEST(GoldenV1, SameEventsStillMakeTheSameHeader) {
  CountingRandom salts;
  const auto batch =
      wire::Seal(GoldenPosition(), GoldenContext(), GoldenBodies(), TestKey(10), salts);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->header, ReadGolden("header.bin"));
}

TEST(GoldenV1, EventsOfABatchAreStillRead) {
  const auto batch = ReadDocument<v1::SealedBatch>("batch.bin");
  for (const wire::BatchEvent& event : batch.events) {
    const auto parsed = wire::ParseEvent(event.body);
    ASSERT_TRUE(parsed) << parsed.error().ToString();
    EXPECT_EQ(wire::SerialiseEvent(*parsed), event.body);
  }
}

TEST(GoldenV1, OneEventIsProvedBesideTheHeaderOfABatchThatLostAnother) {
  const auto batch = ReadDocument<v1::SealedBatch>("batch_one_body_dropped.bin");
  const auto header = wire::VerifyBatch(batch, EndpointKey());
  ASSERT_TRUE(header);
  const auto proof = wire::MakeProof(batch, 2);
  ASSERT_TRUE(proof);
  EXPECT_TRUE(wire::VerifyProof(*header, *proof, batch.events[2]));
}

TEST(GoldenV1, RootVerifiesAndIsMadeTheSame) {
  const auto document = ReadDocument<v1::SignedRoot>("signed_root.bin");
  const auto root = wire::VerifyRoot(document);
  ASSERT_TRUE(root) << root.error().ToString();
  EXPECT_EQ(wire::SerialiseRoot(*root), document.bytes);
  EXPECT_EQ(wire::SerialiseRoot(GoldenRoot()), document.bytes);
}

TEST(GoldenV1, BundleIsAcceptedAndItsManifestIsMadeTheSame) {
  const auto document = ReadDocument<v1::SignedBundle>("signed_bundle.bin");
  const auto check = wire::CheckBundle(document, GoldenRoot(), "default", 12);
  EXPECT_EQ(check.refusal, model::PolicyRefusal::kNone) << check.detail;
  EXPECT_EQ(wire::SerialiseManifest(check.manifest), document.bytes);
  EXPECT_EQ(wire::SerialiseManifest(GoldenManifest()), document.bytes);
}

TEST(GoldenV1, AcknowledgementVerifiesAndIsMadeTheSame) {
  const auto document = ReadDocument<v1::SignedAcknowledgement>("signed_acknowledgement.bin");
  const auto acknowledgement = wire::VerifyAcknowledgement(document, GoldenRoot());
  ASSERT_TRUE(acknowledgement) << acknowledgement.error().ToString();
  EXPECT_EQ(acknowledgement->number, 7U);
  EXPECT_EQ(wire::MakeAcknowledgement(GoldenAcknowledgement(), ServerKey()).bytes, document.bytes);
}

TEST(GoldenV1, TokenIsReadAndMadeTheSame) {
  const std::string text = ReadGolden("token.txt");
  const auto token = wire::ParseToken(text);
  ASSERT_TRUE(token) << token.error().ToString();
  EXPECT_EQ(token->address, GoldenToken().address);
  EXPECT_EQ(token->secret, GoldenToken().secret);
  EXPECT_EQ(wire::FormatToken(*token) + "\n", text);
}

}  // namespace
}  // namespace weighmaster::tests
