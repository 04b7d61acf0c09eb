// Every file that was ever released is read and verified by today's code, and the values that it
// was made from still give its bytes.

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <variant>

#include "agent/decide/vault_record.h"
#include "proto/wire/convert.h"
#include "proto/wire/evidence_check.h"
#include "proto/wire/merkle.h"
#include "tests/golden/values.h"
#include "tests/support/evidence.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/batch.pb.h"
#include "weighmaster/v1/sync.pb.h"
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

TEST(GoldenV1, LaterBatchesFollowAndAreMadeTheSame) {
  model::Sha256 previous = wire::HeaderDigest(ReadGolden("header.bin"));
  for (const GoldenBatch& made : GoldenLaterBatches()) {
    const auto batch = ReadDocument<v1::SealedBatch>(made.name + ".bin");
    const auto header = wire::VerifyBatch(batch, EndpointKey());
    ASSERT_TRUE(header) << made.name << ": " << header.error().ToString();
    EXPECT_EQ(header->previous, previous) << made.name;
    EXPECT_EQ(batch.header, made.batch.header) << made.name;
    previous = wire::HeaderDigest(batch.header);
  }
}

TEST(GoldenV1, EventsOfEveryKindAreStillRead) {
  std::set<std::size_t> kinds;
  for (const char* name :
       {"batch.bin", "batch_control.bin", "batch_changed.bin", "batch_judged.bin"}) {
    const auto batch = ReadDocument<v1::SealedBatch>(name);
    for (const wire::BatchEvent& event : batch.events) {
      const auto parsed = wire::ParseEvent(event.body);
      ASSERT_TRUE(parsed) << parsed.error().ToString();
      EXPECT_EQ(wire::SerialiseEvent(*parsed), event.body);
      kinds.insert(parsed->body.index());
    }
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<model::EventBody>) << "a kind has no golden event";
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

TEST(GoldenV1, HelloVerifiesAndIsMadeTheSame) {
  v1::SignedHello document;
  ASSERT_TRUE(document.ParseFromString(ReadGolden("signed_hello.bin")));
  const auto signature = openssl::SignatureFromBytes(base::AsBytes(document.signature()));
  ASSERT_TRUE(signature);
  EXPECT_TRUE(
      EndpointKey().Verify(wire::DomainDigest(wire::kDomainHello, document.hello()), *signature));
  EXPECT_EQ(GoldenHello(), document.hello());
  v1::Hello hello;
  ASSERT_TRUE(hello.ParseFromString(document.hello()));
  EXPECT_TRUE(hello.GetReflection()->GetUnknownFields(hello).empty());
  EXPECT_EQ(hello.machine().hostname(), "lovelace");
  EXPECT_EQ(hello.head().number(), 7U);
}

TEST(GoldenV1, RulesAreReadAndMadeTheSame) {
  const auto expect = [](const char* name, const model::RuleSet& golden) {
    const std::string bytes = ReadGolden(name);
    const auto rules = wire::ParseRules(bytes);
    ASSERT_TRUE(rules) << rules.error().ToString();
    EXPECT_EQ(*rules, golden) << name;
    EXPECT_EQ(wire::SerialiseRules(golden), bytes) << name;
  };
  model::RuleSet rules = GoldenRules();
  expect("rules.bin", rules);
  rules.settings = GoldenSettings();
  expect("rules_settings.bin", rules);
}

TEST(GoldenV1, EvidenceHoldsAndItsStatementIsMadeTheSame) {
  for (const std::uint32_t version : {1U, 2U}) {
    const std::string file = ReadGolden(version == 1 ? "evidence.bin" : "evidence_2.bin");
    wire::EvidenceCheck check(std::nullopt);
    check.Add(file);
    const v1::EvidenceReport report = check.Finish();
    EXPECT_TRUE(report.verified()) << report.problems(0);
    EXPECT_EQ(report.format_version(), version);
    EXPECT_EQ(report.chains_size(), 2);
    EXPECT_EQ(report.quarantined_size(), 1);
    EXPECT_EQ(report.parts(), version - 1);
    v1::EvidenceFile message;
    ASSERT_TRUE(message.ParseFromString(file));
    EXPECT_EQ(message.records(2).statement().statement(), SignStatement(EvidenceStatement()).bytes);
  }
}

TEST(GoldenV1, ListsAreSearchedAndMadeTheSame) {
  const std::string bytes = ReadGolden("lists.bin");
  const auto view = model::DigestListsView::Parse(base::AsBytes(bytes));
  ASSERT_TRUE(view) << view.error().ToString();
  const model::DigestLists lists = GoldenLists();
  const auto holds = [&](model::ListKind kind, const std::vector<model::Sha256>& digests) {
    EXPECT_EQ(view->count(kind), digests.size()) << model::ListKindName(kind);
    for (const model::Sha256& digest : digests) EXPECT_TRUE(view->Contains(kind, digest));
  };
  holds(model::ListKind::kBlocked, lists.blocked);
  holds(model::ListKind::kDenied, lists.denied);
  holds(model::ListKind::kApproved, lists.approved);
  EXPECT_EQ(base::AsText(model::EncodeDigestLists(lists)), bytes);
}

TEST(GoldenV1, VaultRecordsAreReadAndMadeTheSame) {
  const auto expect = [](const char* name, const agent::decide::VaultRecord& record) {
    const std::string text = ReadGolden(name);
    const auto read = agent::decide::ParseVaultRecord(text);
    ASSERT_TRUE(read) << read.error().ToString();
    EXPECT_EQ(*read, record) << name;
    EXPECT_EQ(agent::decide::FormatVaultRecord(record), text) << name;
  };
  expect("in_force.txt", GoldenVaultRecord());
  expect("in_force_nothing.txt", {});
  agent::decide::VaultRecord withholding = GoldenVaultRecord();
  withholding.withheld = GoldenSettings().withheld;
  expect("in_force_withheld.txt", withholding);
}

}  // namespace
}  // namespace weighmaster::tests
