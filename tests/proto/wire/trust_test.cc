#include "proto/wire/trust.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "policy/base/limits.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/batch.pb.h"
#include "weighmaster/v1/enrol.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::wire {
namespace {

using model::PolicyRefusal;
using tests::MakeManifest;
using tests::MakeRoot;
using tests::PartOf;
using tests::SignRoot;
using tests::TestKey;

BundleManifest Manifest(std::uint64_t version = 12) {
  BundleManifest manifest = MakeManifest(version);
  manifest.parts = {PartOf(PartKind::kRules, "rules", {std::string(kFeatureRules)})};
  return manifest;
}

// The refusal of a manifest that is changed and then signed as it should be.
BundleCheck CheckChanged(const std::function<void(v1::BundleManifest&)>& change) {
  v1::BundleManifest proto;
  EXPECT_TRUE(proto.ParseFromString(SerialiseManifest(Manifest())));
  change(proto);
  SignedDocument document{.bytes = proto.SerializeAsString(), .signatures = {}};
  EXPECT_TRUE(Sign(document, kDomainBundle, tests::PolicyKey()));
  return CheckBundle(document, tests::MakeTestFleet().root, "default", 1);
}

std::string RootProblem(const std::function<void(v1::Root&)>& change) {
  v1::Root proto;
  EXPECT_TRUE(proto.ParseFromString(SerialiseRoot(MakeRoot({1, 4}, 2))));
  change(proto);
  const auto root = ParseRoot(proto.SerializeAsString());
  return root ? "" : root.error().message();
}

TEST(Root, SurvivesSerialising) {
  const Root root = MakeRoot({1, 4, 5}, 2, 3);
  const auto parsed = ParseRoot(SerialiseRoot(root));
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(parsed->version, 3U);
  EXPECT_EQ(parsed->keys.size(), 5U);
  EXPECT_EQ(parsed->roles.at("root").threshold, 2U);
  EXPECT_EQ(SerialiseRoot(*parsed), SerialiseRoot(root));
}

TEST(Root, RefusesDocumentsThatDoNotHold) {
  const std::vector<std::pair<std::string, std::function<void(v1::Root&)>>> changes = {
      {"fleet_id", [](auto& r) { r.set_fleet_id("ABCDEF00000000000000000000000000"); }},
      {"version", [](auto& r) { r.set_version(0); }},
      {"expires", [](auto& r) { r.set_expires_time_us(r.issued_time_us()); }},
      {"keys", [](auto& r) { r.clear_keys(); }},
      {"twice", [](auto& r) { *r.add_keys() = r.keys(0); }},
      {"algorithm", [](auto& r) { r.mutable_keys(0)->clear_algorithm(); }},
      {"P-256", [](auto& r) { r.mutable_keys(0)->mutable_spki()->pop_back(); }},
      {"twice", [](auto& r) { *r.add_roles() = r.roles(0); }},
      {"roles.name", [](auto& r) { r.mutable_roles(0)->clear_name(); }},
      {"threshold", [](auto& r) { r.mutable_roles(0)->set_threshold(0); }},
      {"threshold", [](auto& r) { r.mutable_roles(1)->set_threshold(3); }},
      {"twice", [](auto& r) { r.mutable_roles(1)->add_key_ids(r.roles(1).key_ids(0)); }},
      {"not among", [](auto& r) { r.mutable_roles(0)->add_key_ids(std::string(32, 'k')); }},
      {"key_ids", [](auto& r) { r.mutable_roles(0)->add_key_ids("short"); }},
      {"no role", [](auto& r) { r.mutable_roles()->DeleteSubrange(1, 1); }},
  };
  v1::Root proto;
  ASSERT_TRUE(proto.ParseFromString(SerialiseRoot(MakeRoot({1, 4}, 2))));
  ASSERT_EQ(proto.roles(1).name(), "root");
  EXPECT_EQ(RootProblem([](auto&) {}), "");
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_NE(RootProblem(changes[i].second).find(changes[i].first), std::string::npos)
        << "change " << i << ": " << RootProblem(changes[i].second);
  }
}

TEST(Root, NeedsItsThresholdOfDifferentKeys) {
  const Root root = MakeRoot({1, 4, 5}, 2);
  EXPECT_TRUE(VerifyRoot(SignRoot(root, {1, 4})));
  EXPECT_TRUE(VerifyRoot(SignRoot(root, {1, 4, 5})));
  EXPECT_FALSE(VerifyRoot(SignRoot(root, {1})));
  EXPECT_FALSE(VerifyRoot(SignRoot(root, {1, 2})));  // the policy key is no root key
  SignedDocument twice = SignRoot(root, {1});
  KeySignature again{.key_id = TestKey(1).public_key().id(), .signature = {}};
  again.signature = TestKey(1).Sign(DomainDigest(kDomainRoot, twice.bytes)).value();
  twice.signatures.push_back(again);
  EXPECT_FALSE(VerifyRoot(twice));
}

TEST(Root, ASignatureUnderAnothersNameCountsForNobody) {
  const Root root = MakeRoot({1, 4}, 2);
  SignedDocument document = SignRoot(root, {1});
  KeySignature borrowed = document.signatures.front();
  borrowed.key_id = TestKey(4).public_key().id();
  document.signatures.push_back(borrowed);
  EXPECT_FALSE(VerifyRoot(document));
}

TEST(Root, ABadSignatureDoesNotSpoilAGoodOneOfTheSameKey) {
  const Root root = MakeRoot({1}, 1);
  SignedDocument document = SignRoot(root, {1});
  KeySignature bad = document.signatures.front();
  bad.signature[0] ^= 1;
  document.signatures.insert(document.signatures.begin(), bad);
  EXPECT_TRUE(VerifyRoot(document));
}

TEST(Root, ARoleThatIsNotThereTrustsNobody) {
  Root root = MakeRoot({1}, 1);
  const SignedDocument document = SignRoot(root, {1});
  EXPECT_FALSE(root.Trusts("commands", kDomainRoot, document.bytes, document.signatures));
  root.roles["root"].threshold = 0;
  EXPECT_FALSE(root.Trusts(kRoleRoot, kDomainRoot, document.bytes, {}));
}

TEST(Root, NextOneIsSignedByTheOldKeysAndTheNew) {
  const Root current = MakeRoot({1, 4}, 2, 1);
  const Root next = MakeRoot({5, 6}, 2, 2);
  EXPECT_TRUE(VerifyNextRoot(current, SignRoot(next, {1, 4, 5, 6})));
  EXPECT_FALSE(VerifyNextRoot(current, SignRoot(next, {1, 4})));
  EXPECT_FALSE(VerifyNextRoot(current, SignRoot(next, {5, 6})));
  EXPECT_FALSE(VerifyNextRoot(current, SignRoot(next, {1, 5, 6})));
}

TEST(Root, NextOneIsOfTheSameFleetAndOneVersionOn) {
  const Root current = MakeRoot({1}, 1, 3);
  for (const std::uint64_t version : {2U, 3U, 5U}) {
    EXPECT_FALSE(VerifyNextRoot(current, SignRoot(MakeRoot({1}, 1, version), {1}))) << version;
  }
  Root foreign = MakeRoot({1}, 1, 4);
  EXPECT_TRUE(VerifyNextRoot(current, SignRoot(foreign, {1})));
  foreign.fleet_id = std::string(32, 'f');
  EXPECT_FALSE(VerifyNextRoot(current, SignRoot(foreign, {1})));
}

TEST(SignedDocuments, ArePutIntoAMessageWithTheirOwnSignaturesAlone) {
  SignedDocument document = tests::SignBundle(Manifest());
  v1::SignedBundle message;
  ToProto(document, message);
  ASSERT_TRUE(Sign(document, kDomainBundle, TestKey(4)));
  ToProto(document, message);
  EXPECT_EQ(message.signatures_size(), 2);
}

TEST(Sign, ReplacesAnOlderSignatureOfTheSameKey) {
  SignedDocument document = SignRoot(MakeRoot({1, 4}, 2), {1, 4});
  ASSERT_TRUE(Sign(document, kDomainRoot, TestKey(1)));
  EXPECT_EQ(document.signatures.size(), 2U);
  EXPECT_TRUE(VerifyRoot(document));
}

TEST(CheckBundle, AcceptsAGoodBundleAndGivesItsManifest) {
  const BundleCheck check =
      CheckBundle(tests::SignBundle(Manifest()), tests::MakeTestFleet().root, "default", 12);
  EXPECT_EQ(check.refusal, PolicyRefusal::kNone) << check.detail;
  EXPECT_EQ(check.manifest.version, 12U);
  ASSERT_EQ(check.manifest.parts.size(), 1U);
  EXPECT_EQ(check.manifest.parts[0].features, std::vector{std::string(kFeatureRules)});
}

TEST(CheckBundle, RefusesEveryFlippedByte) {
  const SignedDocument good = tests::SignBundle(Manifest());
  const Root root = tests::MakeTestFleet().root;
  for (std::size_t i = 0; i < good.bytes.size(); ++i) {
    SignedDocument flipped = good;
    flipped.bytes[i] = static_cast<char>(flipped.bytes[i] ^ 1);
    EXPECT_NE(CheckBundle(flipped, root, "default", 1).refusal, PolicyRefusal::kNone) << i;
  }
}

TEST(CheckBundle, RefusesInTheOrderOfItsComment) {
  const Root root = tests::MakeTestFleet().root;
  SignedDocument unsigned_bundle = tests::SignBundle(Manifest());
  unsigned_bundle.signatures.clear();
  // Everything after the signature would be wrong too; the signature speaks first.
  EXPECT_EQ(CheckBundle(unsigned_bundle, root, "other", 99).refusal, PolicyRefusal::kBadSignature);
  SignedDocument by_server{.bytes = SerialiseManifest(Manifest()), .signatures = {}};
  ASSERT_TRUE(Sign(by_server, kDomainBundle, tests::ServerKey()));
  EXPECT_EQ(CheckBundle(by_server, root, "default", 1).refusal, PolicyRefusal::kBadSignature);
  SignedDocument other_domain{.bytes = SerialiseManifest(Manifest()), .signatures = {}};
  ASSERT_TRUE(Sign(other_domain, kDomainRoot, tests::PolicyKey()));
  EXPECT_EQ(CheckBundle(other_domain, root, "default", 1).refusal, PolicyRefusal::kBadSignature);

  BundleManifest foreign = Manifest();
  foreign.fleet_id = std::string(32, 'f');
  EXPECT_EQ(CheckBundle(tests::SignBundle(foreign), root, "other", 99).refusal,
            PolicyRefusal::kWrongFleet);
  EXPECT_EQ(CheckBundle(tests::SignBundle(Manifest()), root, "other", 99).refusal,
            PolicyRefusal::kWrongLine);
  EXPECT_EQ(CheckBundle(tests::SignBundle(Manifest()), root, "default", 13).refusal,
            PolicyRefusal::kBelowFloor);
}

TEST(CheckBundle, RefusesWhatIsTooLarge) {
  const SignedDocument long_one{.bytes = std::string(base::limits::kMaxManifestBytes + 1, 'x'),
                                .signatures = {}};
  EXPECT_EQ(CheckBundle(long_one, tests::MakeTestFleet().root, "default", 1).refusal,
            PolicyRefusal::kTooLarge);
  EXPECT_EQ(CheckChanged([](auto& m) {
              m.mutable_parts(0)->set_size_bytes(base::limits::kMaxPartBytes + 1);
            }).refusal,
            PolicyRefusal::kTooLarge);
}

TEST(CheckBundle, RefusesWellSignedManifestsThatDoNotHold) {
  const std::vector<std::function<void(v1::BundleManifest&)>> changes = {
      [](auto& m) { m.clear_fleet_id(); },
      [](auto& m) { m.clear_line(); },
      [](auto& m) { m.set_line(std::string(65, 'l')); },
      [](auto& m) { m.set_label_selector(std::string(1025, 'l')); },
      [](auto& m) { m.set_version(0); },
      [](auto& m) { m.set_floor(13); },
      [](auto& m) { m.set_expires_time_us(m.issued_time_us()); },
      [](auto& m) { m.mutable_document_sha256()->pop_back(); },
      [](auto& m) { m.set_document_name(std::string(513, 'd')); },
      [](auto& m) { m.clear_parts(); },
      [](auto& m) { *m.add_parts() = m.parts(0); },
      [](auto& m) { m.mutable_parts(0)->clear_kind(); },
      [](auto& m) { m.mutable_parts(0)->clear_sha256(); },
      [](auto& m) { m.mutable_parts(0)->add_features(""); },
  };
  EXPECT_EQ(CheckChanged([](auto&) {}).refusal, PolicyRefusal::kNone);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_EQ(CheckChanged(changes[i]).refusal, PolicyRefusal::kMalformed) << "change " << i;
  }
}

TEST(CheckBundle, KeepsAPartOfAKindThatThisBuildDoesNotKnow) {
  const BundleCheck check =
      CheckChanged([](auto& m) { m.mutable_parts(0)->set_kind(static_cast<v1::PartKind>(77)); });
  EXPECT_EQ(check.refusal, PolicyRefusal::kNone) << check.detail;
  EXPECT_EQ(static_cast<int>(check.manifest.parts[0].kind), 77);
}

TEST(Bundle, TravelsWithItsSignatures) {
  v1::SignedBundle proto;
  ToProto(tests::SignBundle(Manifest()), proto);
  const auto document = FromProto(proto);
  ASSERT_TRUE(document);
  EXPECT_EQ(CheckBundle(*document, tests::MakeTestFleet().root, "default", 1).refusal,
            PolicyRefusal::kNone);
  proto.mutable_signatures(0)->mutable_signature()->pop_back();
  EXPECT_FALSE(FromProto(proto));
}

TEST(Bundle, WithTooManySignaturesIsRefusedBeforeAnyIsChecked) {
  v1::SignedBundle proto;
  ToProto(tests::SignBundle(Manifest()), proto);
  while (std::size_t(proto.signatures_size()) <= base::limits::kMaxSignatures) {
    *proto.add_signatures() = proto.signatures(0);
  }
  EXPECT_FALSE(FromProto(proto));
}

TEST(Acknowledgement, IsBelievedOnlyFromTheServersKey) {
  const Root root = tests::MakeTestFleet().root;
  Acknowledgement acknowledgement{.chain = {},
                                  .number = 4,
                                  .header_digest = DomainDigest("x", "y"),
                                  .lineage = {},
                                  .server_time = tests::kTestEpoch};
  v1::SignedAcknowledgement proto;
  ToProto(MakeAcknowledgement(acknowledgement, tests::ServerKey()), proto);
  const auto document = FromProto(proto);
  ASSERT_TRUE(document);
  const auto verified = VerifyAcknowledgement(*document, root);
  ASSERT_TRUE(verified) << verified.error().ToString();
  EXPECT_EQ(verified->number, 4U);
  EXPECT_EQ(verified->header_digest, acknowledgement.header_digest);
  EXPECT_EQ(verified->server_time, tests::kTestEpoch);
  EXPECT_FALSE(VerifyAcknowledgement(MakeAcknowledgement(acknowledgement, TestKey(10)), root));
  acknowledgement.number = 0;
  EXPECT_FALSE(
      VerifyAcknowledgement(MakeAcknowledgement(acknowledgement, tests::ServerKey()), root));
}

EnrolmentToken Token() {
  return {.address = "server.example:7443",
          .ca = DomainDigest("ca", ""),
          .root = DomainDigest("root", ""),
          .secret = base::Bytes(32, 7)};
}

TEST(Token, SurvivesItsTextAndWhiteSpaceAroundIt) {
  const std::string text = FormatToken(Token());
  EXPECT_TRUE(text.starts_with("wm1."));
  const auto token = ParseToken("  " + text + "\r\n");
  ASSERT_TRUE(token) << token.error().ToString();
  EXPECT_EQ(token->address, Token().address);
  EXPECT_EQ(token->ca, Token().ca);
  EXPECT_EQ(token->root, Token().root);
  EXPECT_EQ(token->secret, Token().secret);
}

TEST(Token, RefusesDamagedOnes) {
  const std::string text = FormatToken(Token());
  EXPECT_FALSE(ParseToken(""));
  EXPECT_FALSE(ParseToken(text.substr(4)));
  EXPECT_FALSE(ParseToken("wm2." + text.substr(4)));
  EXPECT_FALSE(ParseToken(text.substr(0, text.size() - 4)));
  EXPECT_FALSE(ParseToken(text + "!"));
  EXPECT_FALSE(ParseToken("wm1." + std::string(2000, 'A')));
  EnrolmentToken short_secret = Token();
  short_secret.secret.pop_back();
  EXPECT_FALSE(ParseToken(FormatToken(short_secret)));
}

TEST(Token, TakesAddressesThatCanBeDialledOnly) {
  for (const char* good : {"host:1", "10.0.0.1:65535", "[::1]:7443"}) {
    EnrolmentToken token = Token();
    token.address = good;
    EXPECT_TRUE(ParseToken(FormatToken(token))) << good;
  }
  for (const char* bad : {"", "host", ":1", "host:", "host:0", "host:65536", "host:1x", "a b:1",
                          "::1:7443", "host\n:1"}) {
    EnrolmentToken token = Token();
    token.address = bad;
    EXPECT_FALSE(ParseToken(FormatToken(token))) << bad;
  }
}

TEST(Token, ErrorsNeverQuoteTheSecret) {
  const std::string text = FormatToken(Token());
  const auto damaged = ParseToken(text.substr(0, text.size() - 4));
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().message().find(text.substr(20, 8)), std::string::npos);
}

}  // namespace
}  // namespace weighmaster::wire
