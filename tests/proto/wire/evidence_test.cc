#include "proto/wire/evidence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "proto/wire/evidence_check.h"
#include "tests/support/endpoint_script.h"
#include "tests/support/evidence.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/exceptions.pb.h"

namespace weighmaster::wire {
namespace {

using Records = std::vector<v1::EvidenceRecord>;
using testing::Test;
using tests::EvidenceFile;
using tests::EvidenceRecords;
using tests::TestId;
using tests::TestKey;

// Where EvidenceRecords() has them.
constexpr std::size_t kRoot = 0;
constexpr std::size_t kStatement = 1;
constexpr std::size_t kEndpointExceptions = 3;
constexpr std::size_t kPolicy = 4;
constexpr std::size_t kFirstAcknowledgement = 5;
constexpr std::size_t kFirstBatch = 7;  // of the chain 0xc1, four of them
constexpr std::size_t kSecondChain = 11;
constexpr std::size_t kQuarantined = 13;
constexpr std::size_t kPart = 14;  // in two pieces

v1::EvidenceReport Check(std::string_view file,
                         std::optional<model::Sha256> pinned = std::nullopt) {
  EvidenceCheck check(pinned);
  check.Add(file);
  return check.Finish();
}

// The problems of a file whose trailer fits the changed records, one a line.
std::string ProblemsOf(const Records& records) {
  std::string problems;
  const v1::EvidenceReport report = Check(EvidenceFile(records));
  for (const std::string& problem : report.problems()) problems += problem + "\n";
  return problems;
}
std::string ProblemsAfter(const std::function<void(Records&)>& change) {
  Records records = EvidenceRecords();
  change(records);
  return ProblemsOf(records);
}

std::string InFirst(const std::string& what) {
  return "chain " + TestId(0xc1).ToHex() + what + "\n";
}

void Flip(std::string& bytes, std::size_t at) { bytes[at] = static_cast<char>(bytes[at] ^ 1); }

v1::SealedBatch& BatchAt(Records& records, std::size_t at) {
  return *records[at].mutable_batch()->mutable_batch();
}

void Restate(Records& records, const std::function<void(EvidenceStatement&)>& change) {
  EvidenceStatement statement = tests::EvidenceStatement();
  change(statement);
  v1::SignedEvidenceStatement message;
  ToProto(tests::SignStatement(statement), message);
  *records[kStatement].mutable_statement() = message;
}

TEST(Evidence, HoldsAndTellsWhatIsInIt) {
  const v1::EvidenceReport report = Check(EvidenceFile(EvidenceRecords()));
  EXPECT_TRUE(report.verified()) << ProblemsOf(EvidenceRecords());
  EXPECT_EQ(report.endpoint_id(), TestId(1).ToHex());
  EXPECT_EQ(report.hostname(), "host1");
  EXPECT_FALSE(report.root_pinned());
  ASSERT_EQ(report.chains_size(), 2);
  const v1::EvidenceReport::Chain& first = report.chains(0);
  EXPECT_EQ(first.batches(), 4U);
  EXPECT_EQ(first.events(), 6U);
  EXPECT_EQ(first.holes(), 2U) << "one body of batch 2, and the only one of batch 3";
  EXPECT_EQ(first.first_time_us(), base::ToMicroseconds(tests::kTestEpoch));
  EXPECT_EQ(first.last_time_us(), base::ToMicroseconds(tests::kTestEpoch + std::chrono::hours(1)));
  EXPECT_TRUE(first.superseded());
  EXPECT_FALSE(report.chains(1).superseded());
  ASSERT_EQ(report.quarantined_size(), 1);
  EXPECT_EQ(report.quarantined(0).number(), 2U);
  EXPECT_EQ(report.quarantined(0).reason(), v1::QUARANTINE_REASON_EQUIVOCATION);
  EXPECT_EQ(report.policy_versions_size(), 1);
  EXPECT_EQ(report.missing_policy_versions_size(), 0);
  EXPECT_EQ(report.parts(), 1U);
  EXPECT_EQ(report.format_version(), 2U);
  EXPECT_EQ(report.fleet_exceptions_version(), 3U);
  EXPECT_EQ(report.endpoint_exceptions_version(), 5U);
}

TEST(Evidence, IsTheSameHoweverItIsCut) {
  const std::string file = EvidenceFile(EvidenceRecords());
  const std::string whole = Check(file).SerializeAsString();
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    EvidenceCheck check(std::nullopt);
    for (std::size_t at = 0; at < file.size(); at += size) check.Add(file.substr(at, size));
    EXPECT_EQ(check.Finish().SerializeAsString(), whole) << size;
  }
}

TEST(Evidence, IsOneMessageOfProtobuf) {
  v1::EvidenceFile message;
  ASSERT_TRUE(message.ParseFromString(EvidenceFile(EvidenceRecords())));
  EXPECT_EQ(message.records_size(), static_cast<int>(EvidenceRecords().size()) + 2);
}

// A chain of one batch, so that what is done for each byte is soon done.
Records SmallRecords() {
  Records records = EvidenceRecords();
  Restate(records, [](EvidenceStatement& statement) {
    statement.chains.pop_back();
    statement.chains[0].last_number = 1;
    statement.chains[0].bodies = 1;
    statement.quarantined.clear();
    statement.policies.clear();
    statement.fleet_exceptions_version = 0;
    statement.endpoint_exceptions_version = 0;
  });
  const v1::EvidenceRecord batch = records[kFirstBatch];
  records.resize(kStatement + 1);
  SealedBatch sealed = FromProto(batch.batch().batch()).value();
  ToProto(MakeAcknowledgement({.chain = TestId(0xc1),
                               .number = 1,
                               .header_digest = HeaderDigest(sealed.header),
                               .lineage = TestId(0x11),
                               .server_time = tests::kTestEpoch},
                              tests::ServerKey()),
          *records.emplace_back().mutable_acknowledgement());
  records.push_back(batch);
  return records;
}

TEST(Evidence, FailsWithAnyByteFlipped) {
  const std::string file = EvidenceFile(SmallRecords());
  ASSERT_TRUE(Check(file).verified());
  for (std::size_t at = 0; at < file.size(); ++at) {
    std::string changed = file;
    Flip(changed, at);
    ASSERT_FALSE(Check(changed).verified()) << at;
  }
}

// Flips a bit in every `step`-th byte before the trailer, and makes the trailer fit again.
void FlipAndSeal(const std::string& file, std::size_t step) {
  const std::string report = Check(file).SerializeAsString();
  v1::EvidenceFile parts;
  ASSERT_TRUE(parts.ParseFromString(file));
  const std::size_t trailer =
      file.size() - parts.records(parts.records_size() - 1).ByteSizeLong() - 2;
  constexpr std::size_t kDigestBytes = model::Sha256::kBytes;  // the file ends with it
  for (std::size_t at = 0; at < trailer; at += step) {
    std::string changed = file;
    Flip(changed, at);
    const model::Sha256 digest = openssl::Sha256Of(base::AsBytes(changed.substr(0, trailer)));
    changed.replace(changed.size() - kDigestBytes, kDigestBytes, base::AsText(digest.view()));
    const v1::EvidenceReport found = Check(changed);
    ASSERT_TRUE(!found.verified() || found.SerializeAsString() == report) << at;
  }
}

// What is not signed is the form of a few numbers at most, and then nothing of what the file says
// has changed.
TEST(Evidence, FailsOrSaysTheSameWithAnyByteFlippedAndATrailerThatFits) {
  FlipAndSeal(EvidenceFile(SmallRecords()), 1);
  FlipAndSeal(EvidenceFile(EvidenceRecords()), 5);
}

TEST(Evidence, FailsWhereverItIsCutOff) {
  const std::string file = EvidenceFile(SmallRecords());
  for (std::size_t size = 0; size < file.size(); ++size) {
    ASSERT_FALSE(Check(file.substr(0, size)).verified()) << size;
  }
  EXPECT_FALSE(Check(file + file).verified());
  EXPECT_FALSE(Check(file + "\n").verified());
}

TEST(Evidence, NamesTheBatchWhoseHeaderWasChanged) {
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              std::string& header = *BatchAt(records, kFirstBatch + 1).mutable_header();
              Flip(header, header.size() - 12);
            }),
            InFirst(", batch 2: the header or its signature was changed: key " +
                    TestKey(11).public_key().id().ToHex() + " did not sign it"));
}

TEST(Evidence, NamesTheEventWhoseBodyWasChanged) {
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              Flip(*BatchAt(records, kFirstBatch + 1).mutable_events(2)->mutable_event(), 9);
            }),
            InFirst(", batch 2: the salt or the body of event 4 was changed"));
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              Flip(*BatchAt(records, kFirstBatch + 1).mutable_events(0)->mutable_salt(), 9);
            }),
            InFirst(", batch 2: the salt or the body of event 2 was changed"));
}

TEST(Evidence, NamesABodyThatWasTakenOut) {
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              v1::EvidenceBatch& batch = *records[kFirstBatch + 1].mutable_batch();
              batch.mutable_batch()->mutable_events(0)->Clear();
              batch.mutable_batch()->mutable_events(0)->set_leaf(batch.leaves(0));
            }),
            InFirst(": the server had 4 bodies of events and the file has 3"));
}

TEST(Evidence, NamesTheBatchesThatAreMissing) {
  const auto erase = [](std::size_t from, std::size_t count) {
    return ProblemsAfter([=](Records& records) {
      const auto begin = records.begin() + static_cast<std::ptrdiff_t>(from);
      records.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
    });
  };
  EXPECT_EQ(erase(kFirstBatch + 1, 1), InFirst(": batch 2 is missing"));
  EXPECT_EQ(erase(kFirstBatch, 2), InFirst(": batches 1 to 2 are missing"));
  EXPECT_EQ(erase(kFirstBatch + 3, 1), InFirst(": batch 4 is missing"));
  EXPECT_EQ(erase(kFirstBatch, 4), InFirst(": batches 1 to 4 are missing"));
  EXPECT_EQ(erase(kSecondChain + 1, 1), "chain " + TestId(0xc2).ToHex() + ": batch 2 is missing\n");
}

TEST(Evidence, TellsALastBatchFromTheOneThatWasAcknowledged) {
  EXPECT_EQ(
      ProblemsAfter([](Records& records) {
        *records[kSecondChain + 1].mutable_batch() = records[kQuarantined].quarantined_batch();
      }),
      "chain " + TestId(0xc2).ToHex() + ", batch 2 is not the one that the server acknowledges\n");
}

TEST(Evidence, NamesABatchOfAnotherEndpoint) {
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              tests::EndpointScript other(TestKey(12), TestId(0xc1));
              other.Start();
              v1::SealedBatch message;
              ToProto(other.Seal({model::SightingAppeared{tests::TestSighting("/m", 1)}}), message);
              records[kFirstBatch + 1].Clear();
              ASSERT_TRUE(PutBatch(message, *records[kFirstBatch + 1].mutable_batch()));
            }),
            InFirst(", batch 2: the header names the key " + TestKey(12).public_key().id().ToHex() +
                    ", which is none of this endpoint's"));
}

TEST(Evidence, NamesAKeyThatIsNotForTheBatch) {
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              Restate(records,
                      [](EvidenceStatement& statement) { statement.keys[0].last_number = 3; });
            }),
            InFirst(", batch 4: key " + TestKey(11).public_key().id().ToHex() +
                    " is not the one for batch 4"));
}

TEST(Evidence, SaysThatAWrongKeyInTheStatementIsNotTheServersWord) {
  const std::string problems = ProblemsAfter([](Records& records) {
    EvidenceStatement statement = tests::EvidenceStatement();
    statement.keys[0].key = TestKey(12).public_key();
    records[kStatement].mutable_statement()->set_statement(SerialiseStatement(statement));
  });
  EXPECT_EQ(problems.substr(0, problems.find(':')),
            "the server's statement, or its signature, was changed");
}

TEST(Evidence, NamesABatchOutOfOrderOrTwice) {
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              std::swap(records[kFirstBatch + 1], records[kFirstBatch + 2]);
            }),
            InFirst(": batch 2 is missing") +
                InFirst(", batch 2 stands out of order, twice, or beyond the last one"));
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              records.insert(records.begin() + kFirstBatch + 1, records[kFirstBatch]);
            }),
            InFirst(", batch 1 stands out of order, twice, or beyond the last one"));
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              records.insert(records.begin() + kSecondChain + 1, records[kFirstBatch]);
            }),
            InFirst(", batch 1 stands out of order, or twice"));
}

// A chain that the endpoint itself signed wrongly, which only the checks of a chain find.
TEST(Evidence, NamesABatchThatDoesNotFollow) {
  const auto after = [](const std::function<void(ChainPosition&)>& change) {
    return ProblemsAfter([&](Records& records) {
      tests::EndpointScript script(TestKey(11), TestId(0xc1));
      script.Start();
      change(script.position());
      v1::SealedBatch message;
      ToProto(script.Seal({model::SightingAppeared{tests::TestSighting("/m", 1)},
                           model::SightingAppeared{tests::TestSighting("/n", 1)},
                           model::SightingAppeared{tests::TestSighting("/o", 1)}}),
              message);
      message.clear_events();
      records[kFirstBatch + 1].Clear();
      ASSERT_TRUE(PutBatch(message, *records[kFirstBatch + 1].mutable_batch()));
    });
  };
  EXPECT_NE(after([](ChainPosition& position) {
              position.previous = tests::TestDigest(9);
            }).find(InFirst(", batch 2 names another batch before it than the one that is there")),
            std::string::npos);
  EXPECT_NE(after([](ChainPosition& position) {
              position.next_event = 3;
            }).find(InFirst(", batch 2: its events begin with number 3; 2 is next")),
            std::string::npos);
}

TEST(Evidence, MissesWhateverTheServerSaysIsThere) {
  const auto erase = [](std::size_t at) {
    return ProblemsAfter([at](Records& records) {
      records.erase(records.begin() + static_cast<std::ptrdiff_t>(at));
    });
  };
  EXPECT_EQ(erase(kRoot).find("there is no root document"), 0U);
  EXPECT_EQ(erase(kStatement).find("there is no statement of the server"), 0U);
  EXPECT_EQ(erase(kEndpointExceptions),
            "the endpoint's exceptions are missing or not the newest: version 5 is wanted\n");
  EXPECT_NE(erase(kPolicy).find("policy 1 is missing\n"), std::string::npos);
  EXPECT_EQ(erase(kFirstAcknowledgement), InFirst(": there is no acknowledgement of batch 4"));
  EXPECT_EQ(erase(kQuarantined).find("the quarantined batch with the header digest"), 0U);
}

TEST(Evidence, KeepsQuarantinedBatchesToTheServersListAndTheEndpointsKey) {
  const std::string header = ProblemsAfter([](Records& records) {
    Flip(*records[kQuarantined].mutable_quarantined_batch()->mutable_batch()->mutable_header(), 9);
  });
  EXPECT_NE(header.find("a quarantined batch: its header was changed"), std::string::npos);
  const std::string body = ProblemsAfter([](Records& records) {
    v1::SealedBatch& batch = *records[kQuarantined].mutable_quarantined_batch()->mutable_batch();
    Flip(*batch.mutable_events(0)->mutable_event(), 5);
  });
  EXPECT_EQ(body, "quarantined batch 2 of chain " + TestId(0xc2).ToHex() +
                      ": the salt or the body of event 2 was changed\n");
}

TEST(Evidence, NamesAPolicyAndExceptionsThatWereChanged) {
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              records[kPolicy].mutable_policy()->set_document("policy: another\n");
            }),
            "policy 1: its text was changed\n");
  const std::string manifest = ProblemsAfter([](Records& records) {
    std::string& bytes = *records[kPolicy].mutable_policy()->mutable_bundle()->mutable_manifest();
    Flip(bytes, bytes.size() - 1);
  });
  EXPECT_EQ(manifest.find("policy 1: its manifest was changed"), 0U) << manifest;
  const std::string signature = ProblemsAfter([](Records& records) {
    v1::SignedBundle& bundle = *records[kPolicy].mutable_policy()->mutable_bundle();
    Flip(*bundle.mutable_signatures(0)->mutable_signature(), 3);
  });
  EXPECT_EQ(signature, "policy 1: no key that a trusted root names for it signed its manifest\n");
  const std::string exceptions = ProblemsAfter([](Records& records) {
    std::string& bytes =
        *records[kEndpointExceptions].mutable_exceptions()->mutable_signatures(0)->mutable_key_id();
    Flip(bytes, 3);
  });
  EXPECT_EQ(exceptions,
            "the endpoint's exceptions, version 5: no key that a trusted root names for them "
            "signed them\n");
}

TEST(Evidence, NamesAPartOfAPolicyThatIsNotWhatItsManifestNames) {
  const std::string part = "part " + openssl::Sha256Of(base::AsBytes("content")).ToHex();
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              Flip(*records[kPart + 1].mutable_part()->mutable_data(), 0);
            }),
            part + " of policy 1 was changed\n");
  EXPECT_EQ(ProblemsAfter([](Records& records) {
              records[kPart + 1].mutable_part()->mutable_data()->append("more");
            }),
            part + " of policy 1 was changed\n");
  EXPECT_EQ(ProblemsAfter([](Records& records) { records.pop_back(); }),
            part + " of policy 1 was changed\n");
  EXPECT_EQ(ProblemsAfter([](Records& records) { records.resize(kPart); }),
            part + " of policy 1 is missing\n");
  EXPECT_EQ(ProblemsAfter([](Records& records) { std::swap(records[kPart], records[kPart + 1]); }),
            part + ": byte 0 is expected next, and this piece begins with byte 5\n" + part +
                ": byte 2 is expected next, and this piece begins with byte 0\n" + part +
                " of policy 1 was changed\n");
}

TEST(Evidence, HasNoPartThatIsNoPolicysAndNoneTwice) {
  const auto add = [](const std::string& digest) {
    return ProblemsAfter(
        [&](Records& records) { records.emplace_back().mutable_part()->set_sha256(digest); });
  };
  const model::Sha256 strange = tests::TestDigest(3);
  const std::string no_part = " belongs to no policy of the file, or stands there twice\n";
  EXPECT_EQ(add(std::string(base::AsText(strange.view()))), "part " + strange.ToHex() + no_part);
  EXPECT_EQ(add("x").find("a piece of a part can't be read"), 0U);
  EXPECT_EQ(ProblemsAfter([&](Records& records) {
              const v1::EvidenceRecord first = records[kPart];
              records.emplace_back().mutable_part()->set_sha256(
                  std::string(base::AsText(strange.view())));
              records.push_back(first);
            }),
            "part " + strange.ToHex() + no_part + "part " +
                openssl::Sha256Of(base::AsBytes("content")).ToHex() + no_part);
}

TEST(Evidence, OfVersion1HoldsWithoutPartsAndNotWithThem) {
  const auto problems = [](const Records& records) {
    std::string file = EvidenceFile(records);
    file[file.find(kEvidenceFormat) + kEvidenceFormat.size() + 1] = 1;
    // The trailer, whose digest is of version 2, is not what this is about.
    std::string text;
    const v1::EvidenceReport report = Check(file);
    EXPECT_EQ(report.format_version(), 1U);
    for (const std::string& problem : report.problems()) text += problem + "\n";
    return text;
  };
  const std::string trailer = "the trailer's SHA-256 is not that of the bytes before it\n";
  const std::string no_part = "a file of version 1 has no parts of policies\n";
  Records records = EvidenceRecords();
  EXPECT_EQ(problems(records), no_part + no_part + trailer);
  records.resize(kPart);
  EXPECT_EQ(problems(records), trailer);
}

TEST(Evidence, SaysWhichPolicyInForceTheServerDidNotHave) {
  Records records = EvidenceRecords();
  records.resize(kPart);
  records.erase(records.begin() + kPolicy);
  Restate(records, [](EvidenceStatement& statement) { statement.policies.clear(); });
  const v1::EvidenceReport report = Check(EvidenceFile(records));
  EXPECT_TRUE(report.verified());
  ASSERT_EQ(report.missing_policy_versions_size(), 1);
  EXPECT_EQ(report.missing_policy_versions(0), 1U);
}

TEST(Evidence, BeginsAndEndsWithinAChainWhereTheServerSaysSo) {
  Records records = EvidenceRecords();
  Restate(records, [](EvidenceStatement& statement) {
    statement.chains.erase(statement.chains.begin() + 1);
    statement.chains[0].first_number = 2;
    statement.chains[0].bodies = 3;
  });
  records.erase(records.begin() + kSecondChain, records.begin() + kSecondChain + 2);
  records.erase(records.begin() + kFirstBatch);
  records.erase(records.begin() + kFirstAcknowledgement + 1);
  EXPECT_EQ(ProblemsOf(records), "");
}

// --- Roots

model::Sha256 DigestOf(const SignedDocument& document) {
  return openssl::Sha256Of(base::AsBytes(document.bytes));
}

// Root 2, which follows root 1 and has the same roles.
SignedDocument SecondRoot() {
  Root root = tests::MakeTestFleet().root;
  root.version = 2;
  return tests::SignRoot(root, {1});
}

Records WithRoots(const SignedDocument& first, const SignedDocument& second,
                  std::uint64_t root_version) {
  Records records = EvidenceRecords();
  Restate(records, [=](EvidenceStatement& statement) { statement.root_version = root_version; });
  v1::EvidenceRecord record;
  ToProto(second, *record.mutable_root());
  records.insert(records.begin() + kRoot + 1, record);
  records[kRoot].Clear();
  ToProto(first, *records[kRoot].mutable_root());
  return records;
}

TEST(Evidence, IsTrustedFromThePinnedRootOn) {
  const SignedDocument first = tests::MakeTestFleet().signed_root;
  const v1::EvidenceReport report = Check(EvidenceFile(EvidenceRecords()), DigestOf(first));
  EXPECT_TRUE(report.verified());
  EXPECT_TRUE(report.root_pinned());
  EXPECT_EQ(report.root_sha256(), DigestOf(first).ToHex());
  const v1::EvidenceReport other = Check(EvidenceFile(EvidenceRecords()), tests::TestDigest(1));
  ASSERT_EQ(other.problems_size(), 1);
  EXPECT_EQ(other.problems(0),
            "the pinned root " + tests::TestDigest(1).ToHex() + " is none of the file");
}

TEST(Evidence, FollowsTheRootsToTheNewestOneThatTheServerNames) {
  const SignedDocument first = tests::MakeTestFleet().signed_root;
  EXPECT_EQ(ProblemsOf(WithRoots(first, SecondRoot(), 2)), "");
  EXPECT_EQ(ProblemsOf(WithRoots(first, SecondRoot(), 3)),
            "the newest root of the file has version 2; the server's statement names 3\n");
}

TEST(Evidence, TakesNoRootThatDoesNotFollow) {
  const Root stranger = tests::MakeRoot({4}, 1, 2);
  EXPECT_EQ(
      ProblemsOf(WithRoots(tests::MakeTestFleet().signed_root, tests::SignRoot(stranger, {4}), 2)),
      "root 2 of the file: the new root document is not signed by enough root keys of the "
      "current one\n");
}

// Anybody can sign a pinned root once more and put a root of theirs before it.
TEST(Evidence, TrustsNothingThatOnlyARootBeforeThePinnedOneVouchesFor) {
  Root mine = tests::MakeTestFleet().root;
  mine.roles[std::string(kRolePolicy)] = {{TestKey(1).public_key().id()}, 1};
  const SignedDocument before = tests::SignRoot(mine, {1});
  const SignedDocument pinned = SecondRoot();
  Records records = WithRoots(before, pinned, 2);
  SignedDocument bundle;
  bundle.bytes = records[kPolicy + 1].policy().bundle().manifest();
  ASSERT_TRUE(Sign(bundle, kDomainBundle, TestKey(1)).has_value());
  v1::SignedBundle message;
  ToProto(bundle, message);
  *records[kPolicy + 1].mutable_policy()->mutable_bundle() = message;
  const std::string file = EvidenceFile(records);
  EXPECT_TRUE(Check(file).verified());
  const v1::EvidenceReport report = Check(file, DigestOf(pinned));
  ASSERT_EQ(report.problems_size(), 1);
  EXPECT_EQ(report.problems(0),
            "policy 1: no key that a trusted root names for it signed its manifest");
}

// --- The container

TEST(Evidence, RefusesWhatIsNoEvidenceAndWhatIsNewer) {
  for (const std::string& other : {std::string("no evidence"), std::string("\x0a\x00", 2),
                                   std::string("\x0a\xff\xff\xff\xff\x7f"), std::string()}) {
    EXPECT_FALSE(Check(other).verified());
  }
  EXPECT_EQ(Check("no evidence").problems(0),
            "this is no file of evidence; nothing behind it was checked");
  std::string newer = EvidenceFile({});
  const std::size_t version = newer.find(kEvidenceFormat) + kEvidenceFormat.size() + 1;
  newer[version] = 3;
  EXPECT_EQ(Check(newer).problems(0),
            "the file is of version 3, which this program does not read; nothing behind it was "
            "checked");
}

TEST(Evidence, LetsNothingHideInARecordThatIsNotSigned) {
  for (const std::size_t at : {kPolicy, kFirstBatch, kQuarantined}) {
    EXPECT_NE(ProblemsAfter([at](Records& records) {
                google::protobuf::Message& inner =
                    at == kPolicy ? static_cast<google::protobuf::Message&>(
                                        *records[at].mutable_policy()->mutable_bundle())
                    : at == kFirstBatch
                        ? static_cast<google::protobuf::Message&>(*records[at].mutable_batch())
                        : static_cast<google::protobuf::Message&>(
                              *records[at].mutable_quarantined_batch()->mutable_batch());
                inner.GetReflection()->MutableUnknownFields(&inner)->AddVarint(99, 1);
              }).find("has a field that it should not have"),
              std::string::npos)
        << at;
  }
}

TEST(Evidence, KeepsItsRecordsInOrder) {
  EXPECT_NE(ProblemsAfter([](Records& records) {
              std::swap(records[kPolicy], records[kEndpointExceptions]);
            }).find("stands a record that belongs before another"),
            std::string::npos);
}

TEST(Evidence, TellsNoMoreProblemsThanItsLimitAndCountsTheOthers) {
  Records records = EvidenceRecords();
  for (int i = 0; i < 150; ++i) {
    records.insert(records.begin() + kFirstBatch + 1, records[kFirstBatch]);
  }
  const v1::EvidenceReport report = Check(EvidenceFile(records));
  EXPECT_EQ(report.problems_size(), base::limits::kMaxEvidenceProblems);
  EXPECT_EQ(report.problems_total(), 150U);
}

TEST(EvidenceWriter, WritesNoRecordPastItsLimit) {
  v1::EvidenceRecord record;
  record.mutable_policy()->set_document(std::string(base::limits::kMaxEvidenceRecordBytes, 'x'));
  EvidenceWriter writer([](std::string_view) { return base::Status(); });
  EXPECT_EQ(writer.Add(record).error().code(), base::ErrorCode::kResourceExhausted);
}

TEST(EvidenceStatement, IsReadAsItWasWritten) {
  const EvidenceStatement statement = tests::EvidenceStatement();
  const std::string bytes = SerialiseStatement(statement);
  const auto read = ParseStatement(bytes);
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(SerialiseStatement(*read), bytes);
  EXPECT_EQ(read->chains[0].superseded, statement.chains[0].superseded);
  EXPECT_EQ(read->keys[0].last_number, std::nullopt);
}

TEST(EvidenceStatement, HasNothingTwiceAndNoRangeThatIsNone) {
  const auto refused = [](const std::function<void(EvidenceStatement&)>& change) {
    EvidenceStatement statement = tests::EvidenceStatement();
    change(statement);
    return !ParseStatement(SerialiseStatement(statement)).has_value();
  };
  EXPECT_FALSE(refused([](EvidenceStatement&) {}));
  EXPECT_TRUE(refused([](EvidenceStatement& s) { s.keys.push_back(s.keys[0]); }));
  EXPECT_TRUE(refused([](EvidenceStatement& s) { s.chains.push_back(s.chains[0]); }));
  EXPECT_TRUE(refused([](EvidenceStatement& s) { s.quarantined.push_back(s.quarantined[0]); }));
  EXPECT_TRUE(refused([](EvidenceStatement& s) { s.policies.push_back(s.policies[0]); }));
  EXPECT_TRUE(refused([](EvidenceStatement& s) { s.chains[0].first_number = 0; }));
  EXPECT_TRUE(refused([](EvidenceStatement& s) { s.chains[0].last_number = 9; }));
  EXPECT_TRUE(refused(
      [](EvidenceStatement& s) { s.keys.resize(base::limits::kMaxEvidenceKeys + 1, s.keys[0]); }));
}

}  // namespace
}  // namespace weighmaster::wire
