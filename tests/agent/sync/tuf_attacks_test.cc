// The attacks that the TUF specification names ("goals to protect against specific attacks",
// https://theupdateframework.github.io/specification/latest/), each against an agent with a policy
// in force, by a server that is the attacker's. What is in force must stay so, and the next honest
// offer must work.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "agent/sync/session.h"
#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "policy/model/lists/lists_delta.h"
#include "tests/agent/policies.h"
#include "tests/agent/rooms.h"
#include "tests/agent/sightings.h"
#include "tests/support/fake_server.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::agent::sync {
namespace {

using model::PolicyRefusal;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using tests::MakePolicy;
using tests::OfferedPolicy;
using tests::TestKey;

class TufAttacks : public testing::Test {
 protected:
  TufAttacks() {
    EXPECT_TRUE(rooms_.policy->InstallRoot(tests::MakeTestFleet().signed_root).has_value());
    session_.Start();
    RunFor(seconds(1));
    const sensors::Observation seen[] = {tests::Seen("/m/bad", "bad")};
    EXPECT_TRUE(rooms_.inventory->Apply(seen).has_value());
    Offer(first_);
    ExpectFirstInForce();
  }
  TufAttacks(const TufAttacks&) = delete;
  TufAttacks& operator=(const TufAttacks&) = delete;
  // What the attacker did is over: an honest server brings the next policy into force.
  ~TufAttacks() override {
    server_.intercept = nullptr;
    RunFor(minutes(10));
    Offer(MakePolicy({.version = honest_version_, .denied_contents = {"bad", "worse"}}));
    RunFor(minutes(10));
    EXPECT_EQ(rooms_.policy->version(), honest_version_) << "the honest offer after the attack";
  }

  void RunFor(base::Duration time) { rooms_.loop.RunFor(time); }
  void Offer(const OfferedPolicy& offered) {
    server_.Offer(offered.bundle, offered.parts);
    RunFor(seconds(5));
  }
  void Send(const v1::ServerFrame& frame) {
    server_.Send(frame);
    RunFor(seconds(5));
  }
  void ExpectFirstInForce() {
    EXPECT_EQ(rooms_.policy->version(), 10);
    EXPECT_EQ(rooms_.inventory->Count()->deny, 1);
  }
  void ExpectRefused(PolicyRefusal refusal) {
    const auto told = rooms_.ToldOf<model::PolicyRefused>();
    ASSERT_FALSE(told.empty()) << "and the fleet is told";
    EXPECT_EQ(told.back().refusal, refusal) << told.back().detail;
    ExpectFirstInForce();
  }
  // With the manifest changed, and signed by these keys.
  static OfferedPolicy Signed(OfferedPolicy offered, const std::vector<int>& keys) {
    offered.bundle = {.bytes = wire::SerialiseManifest(offered.manifest), .signatures = {}};
    for (const int n : keys) {
      EXPECT_TRUE(wire::Sign(offered.bundle, wire::kDomainBundle, TestKey(n)).has_value());
    }
    return offered;
  }
  void OfferRoot(const wire::Root& root, const std::vector<int>& keys) {
    v1::ServerFrame frame;
    wire::ToProto(tests::SignRoot(root, keys), *frame.mutable_offer()->mutable_root());
    Send(frame);
  }
  // The root after `version`, with another policy key.
  static wire::Root RootWithPolicyKey(std::uint64_t version, int key) {
    wire::Root root = tests::MakeRoot({1}, 1, version);
    root.keys.emplace(TestKey(key).public_key().id(), TestKey(key).public_key());
    root.roles[std::string(wire::kRolePolicy)].key_ids = {TestKey(key).public_key().id()};
    return root;
  }

  tests::AgentRooms rooms_;
  tests::FakeServer server_{rooms_.loop, rooms_.key.public_key()};
  Session session_{Session::Rooms{rooms_.loop, rooms_.loop, rooms_.random, server_, *rooms_.journal,
                                  *rooms_.events, *rooms_.policy, rooms_.key},
                   Endpoint{model::Id{{5}}, "host", "linux", "12", "0.1", model::Sha256{}}};
  const OfferedPolicy first_ = MakePolicy({.version = 10, .floor = 9, .denied_contents = {"bad"}});
  std::uint64_t honest_version_ = 20;
};

TEST_F(TufAttacks, ArbitrarySoftware) {
  const OfferedPolicy forged = MakePolicy({.version = 11});
  Offer(Signed(forged, {}));
  ExpectRefused(PolicyRefusal::kBadSignature);
  Offer(Signed(MakePolicy({.version = 12}), {3}));
  ExpectRefused(PolicyRefusal::kBadSignature);  // the server's own key makes no policy
  OfferedPolicy changed = MakePolicy({.version = 13});
  changed.bundle.bytes.back() ^= 1;
  Offer(changed);
  ExpectFirstInForce();
}

TEST_F(TufAttacks, EndlessData) {
  const OfferedPolicy next = MakePolicy({.version = 11});
  std::size_t answered = 0;
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_part_request()) return false;
    v1::ServerFrame answer;
    v1::PartChunk& chunk = *answer.mutable_part_chunk();
    chunk.set_sha256(frame.part_request().sha256());
    chunk.set_offset(frame.part_request().offset());
    chunk.set_total_bytes(next.manifest.parts[answered == 0 ? 0 : 1].size_bytes);
    chunk.set_data(std::string(base::limits::kPartChunkBytes, 'x'));
    ++answered;
    server_.Send(answer);
    return true;
  };
  Offer(next);
  ExpectRefused(PolicyRefusal::kPartMissing);
  EXPECT_LE(answered, 2U) << "nothing past the signed length is asked for";
  OfferedPolicy huge = MakePolicy({.version = 12});
  huge.manifest.parts[0].size_bytes = base::limits::kMaxPartBytes + 1;
  Offer(Signed(huge, {2}));
  ExpectRefused(PolicyRefusal::kTooLarge);
}

TEST_F(TufAttacks, ExtraneousDependencies) {
  OfferedPolicy offered = MakePolicy({.version = 11, .denied_contents = {"bad"}});
  offered.manifest.parts.push_back(
      tests::PartOf(wire::PartKind::kContent, "a program", {"run.v1"}));
  offered = Signed(offered, {2});
  const std::uint64_t before = server_.part_requests();
  Offer(offered);
  EXPECT_EQ(rooms_.policy->version(), 11);
  EXPECT_LE(server_.part_requests() - before, 2U) << "what this agent does not use is not fetched";
  EXPECT_FALSE(rooms_.vault->Has(offered.manifest.parts[2].sha256));
}

TEST_F(TufAttacks, FastForward) {
  // Whoever has the policy key moves version and floor to the end of the numbers …
  constexpr std::uint64_t kLast = INT64_MAX;
  Offer(MakePolicy({.version = kLast, .floor = kLast, .denied_contents = {"bad"}}));
  EXPECT_EQ(rooms_.policy->version(), kLast);
  Offer(MakePolicy({.version = 11}));
  EXPECT_EQ(rooms_.policy->version(), kLast) << "the floor holds";
  // … until a root takes the key away, and the count begins anew.
  OfferRoot(RootWithPolicyKey(2, 6), {1});
  Offer(Signed(MakePolicy({.version = 12, .denied_contents = {"bad"}}), {6}));
  EXPECT_EQ(rooms_.policy->version(), 12);
  OfferRoot(RootWithPolicyKey(3, 2), {1});
}

TEST_F(TufAttacks, IndefiniteFreeze) {
  server_.intercept = [](const v1::AgentFrame&) { return false; };
  EXPECT_FALSE(rooms_.policy->stale());
  const base::Duration life = first_.manifest.expires - rooms_.loop.Now();
  rooms_.loop.StepWallClock(-hours(24 * 365));  // a clock that is held back does not hide it
  rooms_.policy->NoteVerifiedTime(first_.manifest.expires + seconds(1));
  EXPECT_TRUE(rooms_.policy->stale()) << life.count();
  ExpectFirstInForce();
}

TEST_F(TufAttacks, MaliciousMirrorsPreventingUpdates) {
  // Garbage on every stream, and every part withheld, does not keep an honest offer out for good.
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_part_request()) return false;
    v1::ServerFrame answer;
    answer.mutable_part_chunk()->set_sha256(frame.part_request().sha256());
    server_.Send(answer);
    return true;
  };
  Offer(MakePolicy({.version = 11, .denied_contents = {"other"}}));
  ExpectRefused(PolicyRefusal::kPartMissing);
  v1::ServerFrame garbage;
  garbage.mutable_offer()->mutable_bundle()->set_manifest("garbage");
  Send(garbage);
  ExpectFirstInForce();
}

TEST_F(TufAttacks, MixAndMatch) {
  const OfferedPolicy second = MakePolicy({.version = 11, .denied_contents = {"other"}});
  OfferedPolicy mixed = second;
  // Under the new lists' digest the old lists, under the new rules' the lists …
  mixed.parts[second.manifest.parts[0].sha256] = first_.parts.at(first_.manifest.parts[0].sha256);
  mixed.parts[second.manifest.parts[1].sha256] = second.parts.at(second.manifest.parts[0].sha256);
  Offer(mixed);
  ExpectRefused(PolicyRefusal::kPartMissing);
  // … and a change of the lists that leads to those of another version.
  const OfferedPolicy third = MakePolicy({.version = 12, .denied_contents = {"third"}});
  const auto lists = [](const OfferedPolicy& of) {
    return base::AsBytes(of.parts.at(of.manifest.parts[0].sha256));
  };
  const auto delta = model::EncodeListsDelta(lists(first_), lists(second), 100'000);
  ASSERT_TRUE(delta.has_value());
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (frame.part_request().held_sha256().empty()) return false;
    v1::ServerFrame answer;
    answer.mutable_part_chunk()->set_sha256(frame.part_request().sha256());
    answer.mutable_part_chunk()->set_delta(std::string(base::AsText(*delta)));
    server_.Send(answer);
    return true;
  };
  Offer(third);
  EXPECT_EQ(rooms_.policy->version(), 12) << "by the whole lists, asked for after the lie";
  EXPECT_EQ(rooms_.inventory->Count()->deny, 0);
}

TEST_F(TufAttacks, Rollback) {
  Offer(MakePolicy({.version = 8}));
  ExpectRefused(PolicyRefusal::kBelowFloor);
  OfferRoot(RootWithPolicyKey(2, 6), {1});
  OfferRoot(tests::MakeRoot({1}, 1, 1), {1});
  EXPECT_EQ(rooms_.policy->root()->version, 2) << "an older root is no news";
  OfferRoot(RootWithPolicyKey(3, 2), {1});
}

TEST_F(TufAttacks, SlowRetrieval) {
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_part_request()) return false;
    v1::ServerFrame answer;
    v1::PartChunk& chunk = *answer.mutable_part_chunk();
    chunk.set_sha256(frame.part_request().sha256());
    chunk.set_offset(frame.part_request().offset());
    chunk.set_total_bytes(1'000'000);
    chunk.set_data("x");
    rooms_.loop.After(seconds(20), [this, answer] { server_.Send(answer); });
    return true;
  };
  OfferedPolicy slow = MakePolicy({.version = 11});
  slow.manifest.parts[0].size_bytes = 1'000'000;
  slow.manifest.parts[0].sha256 = openssl::Sha256Of(base::AsBytes("never seen whole"));
  Offer(Signed(slow, {2}));
  const int connections = server_.connections();
  RunFor(base::limits::kMaxBundleFetchTime + minutes(5));
  EXPECT_GT(server_.connections(), connections) << "it is not waited for for ever";
  ExpectFirstInForce();
  server_.Withdraw();
}

TEST_F(TufAttacks, VulnerabilityToKeyCompromises) {
  // One of two keys is not enough, also when it signs twice …
  wire::Root two_keys = tests::MakeRoot({1}, 1, 2);
  two_keys.keys.emplace(TestKey(6).public_key().id(), TestKey(6).public_key());
  wire::Role& role = two_keys.roles[std::string(wire::kRolePolicy)];
  role.key_ids = {TestKey(2).public_key().id(), TestKey(6).public_key().id()};
  role.threshold = 2;
  OfferRoot(two_keys, {1});
  OfferedPolicy by_one = Signed(MakePolicy({.version = 11}), {2});
  by_one.bundle.signatures.push_back(by_one.bundle.signatures[0]);
  Offer(by_one);
  ExpectRefused(PolicyRefusal::kBadSignature);
  Offer(Signed(MakePolicy({.version = 12, .denied_contents = {"bad"}}), {2, 6}));
  EXPECT_EQ(rooms_.policy->version(), 12);
  // … a root that the thief of a root key signs alone is none where two are asked for …
  wire::Root stolen = tests::MakeRoot({4}, 1, 3);
  OfferRoot(stolen, {4});
  EXPECT_EQ(rooms_.policy->root()->version, 2);
  // … and what a key signed is nothing once a root has taken it away.
  OfferRoot(RootWithPolicyKey(3, 2), {1});
  Offer(Signed(MakePolicy({.version = 13}), {6}));
  EXPECT_EQ(rooms_.policy->version(), 12);
}

TEST_F(TufAttacks, WrongSoftwareInstallation) {
  OfferedPolicy other = MakePolicy({.version = 11});
  other.manifest.fleet_id = std::string(32, 'a');
  Offer(Signed(other, {2}));
  ExpectRefused(PolicyRefusal::kWrongFleet);
  other = MakePolicy({.version = 12});
  other.manifest.line = "servers";
  Offer(Signed(other, {2}));
  ExpectRefused(PolicyRefusal::kWrongLine);
  // Signed, whole, and lists where rules should be.
  other = MakePolicy({.version = 13});
  std::swap(other.manifest.parts[0].sha256, other.manifest.parts[1].sha256);
  std::swap(other.manifest.parts[0].size_bytes, other.manifest.parts[1].size_bytes);
  Offer(Signed(other, {2}));
  ExpectRefused(PolicyRefusal::kMalformed);
}

}  // namespace
}  // namespace weighmaster::agent::sync
