#include "agent/sync/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/base/bytes.h"
#include "policy/model/lists/lists_delta.h"
#include "tests/agent/policies.h"
#include "tests/agent/rooms.h"
#include "tests/agent/sightings.h"
#include "tests/support/fake_server.h"
#include "third_party/spdlog/log.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::agent::sync {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using tests::MakePolicy;

class SessionTest : public testing::Test {
 protected:
  explicit SessionTest(journal::Limits limits = {}) : rooms_(limits) {
    EXPECT_TRUE(rooms_.policy->InstallRoot(tests::MakeTestFleet().signed_root).has_value());
    logging::Options log;
    log.file = rooms_.folder / "agent.log";
    EXPECT_TRUE(logging::SetUp(log).has_value());
    StartSession();
  }
  SessionTest(const SessionTest&) = delete;
  SessionTest& operator=(const SessionTest&) = delete;
  ~SessionTest() override {
    EXPECT_TRUE(logging::SetUp({}).has_value());
    EXPECT_EQ(server_.complaints(), std::vector<std::string>());
  }

  void StartSession() {
    session_.emplace(Session::Rooms{rooms_.loop, rooms_.loop, rooms_.random, server_,
                                    *rooms_.journal, *rooms_.events, *rooms_.policy, rooms_.key},
                     Endpoint{model::Id{{5}}, "host", "linux", "12", "0.1", model::Sha256{}});
    rooms_.sealer->set_on_sealed([this] { session_->OnSealed(); });
    session_->Start();
  }
  void Restart() {
    session_.reset();
    rooms_.Kill();
    rooms_.Open();
    StartSession();
  }
  void RunFor(base::Duration time) { rooms_.loop.RunFor(time); }

  // An event with a body that tells it from all others.
  std::string Append() {
    std::string body = "event " + std::to_string(appended_.size());
    auto transaction = sqlite::Transaction::Begin(*rooms_.database);
    EXPECT_TRUE(
        rooms_.journal->Append(*transaction, model::PriorityClass::kInventory, body).has_value());
    EXPECT_TRUE(transaction->Commit().has_value());
    appended_.push_back(body);
    return body;
  }
  // One batch each.
  void AppendSealed(int count) {
    for (int i = 0; i < count; ++i) {
      Append();
      ASSERT_TRUE(rooms_.journal->Seal().has_value());
    }
    session_->OnSealed();
  }
  // What the log says, each line without its time.
  std::vector<std::string> Logged() const {
    std::ifstream file(rooms_.folder / "agent.log");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
      lines.push_back(line.substr(line.find(' ') + 1));
    }
    return lines;
  }
  std::uint64_t Unacknowledged() { return rooms_.journal->Count()->unacknowledged_batches; }
  void ExpectEverythingStoredOnce() {
    std::vector<std::string> stored;
    for (const std::string& body : server_.Bodies()) {
      if (body.starts_with("event ")) stored.push_back(body);
    }
    std::sort(stored.begin(), stored.end());
    std::vector<std::string> appended = appended_;
    std::sort(appended.begin(), appended.end());
    EXPECT_EQ(stored, appended);
  }

  tests::AgentRooms rooms_;
  tests::FakeServer server_{rooms_.loop, rooms_.key.public_key()};
  std::optional<Session> session_;
  std::vector<std::string> appended_;
};

TEST_F(SessionTest, DeliversWhatIsSealedAndForgetsNothingBefore) {
  AppendSealed(40);
  RunFor(seconds(2));
  EXPECT_TRUE(session_->status().connected);
  EXPECT_EQ(session_->status().last_error, "");
  ExpectEverythingStoredOnce();
  EXPECT_EQ(Unacknowledged(), 0);
  Append();
  RunFor(seconds(2));
  ExpectEverythingStoredOnce();
}

TEST_F(SessionTest, SendsNoMoreThanTheWindowWithoutAnAcknowledgement) {
  server_.acknowledges = false;
  AppendSealed(40);
  RunFor(seconds(2));
  EXPECT_EQ(server_.chains().begin()->second.size(), base::limits::kMaxBatchesInFlight);
}

TEST_F(SessionTest, OpensAStreamAgainThatFellSilent) {
  server_.acknowledges = false;
  AppendSealed(1);
  RunFor(seconds(2));
  server_.acknowledges = true;
  EXPECT_EQ(server_.connections(), 1);
  RunFor(base::limits::kAnswerTimeout + seconds(2));
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(Unacknowledged(), 0);
  ExpectEverythingStoredOnce();
}

TEST_F(SessionTest, StoresEveryEventOnceWhenKilledAtAnyMoment) {
  for (int round = 0; round < 60; ++round) {
    Append();
    if (round % 3 == 0) Append();
    RunFor(std::chrono::milliseconds(17 * round));
    Restart();
  }
  RunFor(minutes(20));
  ExpectEverythingStoredOnce();
  EXPECT_EQ(server_.chains().size(), 1);
}

TEST_F(SessionTest, SurvivesStreamsThatBreakAtEveryFrame) {
  int frames = 0;
  int break_at = 1;
  server_.intercept = [&](const v1::AgentFrame&) {
    if (++frames < break_at) return false;
    frames = 0;
    ++break_at;
    server_.Cut(base::Unavailable("the network broke"));
    return true;
  };
  for (int i = 0; i < 40; ++i) {
    AppendSealed(1);
    RunFor(minutes(1));
  }
  server_.intercept = nullptr;
  RunFor(minutes(30));
  ExpectEverythingStoredOnce();
}

TEST_F(SessionTest, TriesAgainWithoutEndSlowerEachTime) {
  Restart();
  server_.reachable = false;
  server_.Cut(base::Unavailable("gone"));
  RunFor(std::chrono::hours(24));
  EXPECT_GT(server_.connections(), 24 * 60 / 5 - 20);
  EXPECT_LT(server_.connections(), 1000);
  EXPECT_EQ(session_->status().last_error, "no server answers at this address");
  server_.reachable = true;
  RunFor(base::limits::kLastRetryDelay + seconds(1));
  EXPECT_TRUE(session_->status().connected);
}

TEST_F(SessionTest, LogsAnErrorOnceAndThatItIsConnectedAgain) {
  RunFor(seconds(2));
  server_.reachable = false;
  server_.Cut(base::Unavailable("the server is stopping"));
  RunFor(std::chrono::hours(24));
  const std::vector<std::string> down = {"info sync: connected to the server",
                                         "warning sync: the server is stopping",
                                         "warning sync: no server answers at this address"};
  EXPECT_EQ(Logged(), down);
  server_.reachable = true;
  RunFor(base::limits::kLastRetryDelay + seconds(1));
  std::vector<std::string> up = down;
  up.emplace_back("info sync: connected to the server");
  EXPECT_EQ(Logged(), up);
  server_.reachable = false;
  server_.Cut(base::Unavailable("the server is stopping"));
  RunFor(minutes(30));
  up.insert(up.end(), down.begin() + 1, down.end());
  EXPECT_EQ(Logged(), up) << "what happens anew is told anew";
}

TEST_F(SessionTest, LogsNothingAnewWhenOnlyTheNumbersOfAnErrorChange) {
  RunFor(seconds(2));
  int attempt = 0;
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_hello()) return false;
    v1::ServerFrame refusal;
    refusal.mutable_refusal()->set_reason(v1::REFUSAL_REASON_BUSY);
    refusal.mutable_refusal()->set_message("too much to do: " + std::to_string(++attempt * 7) +
                                           " streams");
    server_.Send(refusal);
    return true;
  };
  server_.Cut(base::Unavailable("gone"));
  RunFor(minutes(30));
  EXPECT_GT(attempt, 5);
  const std::vector<std::string> expected = {
      "info sync: connected to the server", "warning sync: gone",
      "warning sync: the server refuses this endpoint: too much to do: 7 streams"};
  EXPECT_EQ(Logged(), expected);
  EXPECT_NE(session_->status().last_error.find(std::to_string(attempt * 7)), std::string::npos)
      << "status has the newest";
}

TEST_F(SessionTest, TellsHowFarItsClockIsOffTheServers) {
  EXPECT_FALSE(session_->status().clock_offset.has_value()) << "not before a Welcome";
  server_.clock_offset = std::chrono::hours(-26);
  RunFor(seconds(1));
  EXPECT_EQ(session_->status().clock_offset, std::chrono::hours(-26));
  server_.reachable = false;
  server_.Cut(base::Unavailable("gone"));
  RunFor(minutes(1));
  EXPECT_EQ(session_->status().clock_offset, std::chrono::hours(-26))
      << "and still after the stream";
  server_.clock_offset = minutes(7);
  server_.reachable = true;
  RunFor(minutes(2));
  EXPECT_EQ(session_->status().clock_offset, minutes(7));
}

TEST_F(SessionTest, KnowsAtOnceThatItsClockWasCorrected) {
  server_.clock_offset = std::chrono::hours(24);
  RunFor(seconds(1));
  rooms_.loop.StepWallClock(std::chrono::hours(24));
  RunFor(minutes(10));
  EXPECT_EQ(session_->status().clock_offset, base::Duration(0));
  EXPECT_EQ(server_.connections(), 1) << "on the stream that told it";
}

TEST_F(SessionTest, TakesNoHarmFromAClockOffsetThatNoClockHas) {
  for (const auto offset : {base::Duration::min(), base::Duration::max()}) {
    server_.clock_offset = offset;
    server_.Cut(base::Unavailable("gone"));
    RunFor(minutes(2));
    ASSERT_TRUE(session_->status().connected);
    const std::chrono::hours told =
        std::chrono::duration_cast<std::chrono::hours>(*session_->status().clock_offset);
    EXPECT_EQ(std::chrono::abs(told), std::chrono::hours(24 * 365 * 100));
    EXPECT_EQ(told > std::chrono::hours(0), offset > base::Duration(0));
  }
}

TEST_F(SessionTest, KeepsEverythingWhenRevokedAndAsksRarely) {
  AppendSealed(2);
  v1::ServerFrame refusal;
  refusal.mutable_refusal()->set_reason(v1::REFUSAL_REASON_REVOKED);
  refusal.mutable_refusal()->set_message("revoked: stolen");
  server_.intercept = [&](const v1::AgentFrame&) {
    server_.Send(refusal);
    return true;
  };
  RunFor(std::chrono::hours(1));
  EXPECT_NE(session_->status().last_error.find("revoked: stolen"), std::string::npos);
  EXPECT_LE(server_.connections(), 6);
  EXPECT_EQ(Unacknowledged(), 3);
  server_.intercept = nullptr;
  RunFor(base::limits::kRefusedRetryDelay + seconds(2));
  ExpectEverythingStoredOnce();
}

TEST_F(SessionTest, IsNotImpressedByGarbage) {
  AppendSealed(1);
  std::vector<v1::ServerFrame> garbage(6);
  garbage[0].mutable_challenge()->set_nonce("short");
  garbage[1].mutable_welcome();
  garbage[2].mutable_acknowledgement()->set_acknowledgement("nonsense");
  garbage[3].mutable_resend()->set_number(99);
  garbage[4].mutable_part_chunk()->set_data("unasked");
  std::size_t next = 0;
  server_.intercept = [&](const v1::AgentFrame&) {
    server_.Send(garbage[next++ % garbage.size()]);
    return true;
  };
  RunFor(std::chrono::hours(2));
  EXPECT_GT(next, garbage.size());
  EXPECT_EQ(rooms_.journal->acknowledged_number(), 0);
  EXPECT_EQ(rooms_.policy->version(), 0);
}

TEST_F(SessionTest, BelievesNoAcknowledgementThatTheServerRoleDidNotSign) {
  RunFor(seconds(1));
  server_.acknowledges = false;
  AppendSealed(1);
  RunFor(seconds(1));
  wire::Acknowledgement forged;
  forged.chain = rooms_.journal->head().chain;
  forged.number = rooms_.journal->head().number;
  forged.header_digest = *rooms_.journal->head().header_digest;
  forged.lineage = model::Id{{7}};
  forged.server_time = rooms_.loop.Now();
  v1::ServerFrame frame;
  wire::ToProto(wire::MakeAcknowledgement(forged, tests::PolicyKey()),
                *frame.mutable_acknowledgement());
  const std::uint64_t before = rooms_.journal->acknowledged_number();
  server_.Send(frame);
  RunFor(std::chrono::milliseconds(10));
  EXPECT_EQ(rooms_.journal->acknowledged_number(), before);
  EXPECT_FALSE(session_->status().connected);
}

TEST_F(SessionTest, BelievesNoAcknowledgementOfAnotherLineageThanTheStreams) {
  RunFor(seconds(1));
  server_.acknowledges = false;
  AppendSealed(1);
  RunFor(seconds(1));
  wire::Acknowledgement old;  // as a server gave it before it was restored
  old.chain = rooms_.journal->head().chain;
  old.number = rooms_.journal->head().number;
  old.header_digest = *rooms_.journal->head().header_digest;
  old.lineage = model::Id{{8}};
  old.server_time = rooms_.loop.Now();
  v1::ServerFrame frame;
  wire::ToProto(wire::MakeAcknowledgement(old, tests::ServerKey()),
                *frame.mutable_acknowledgement());
  const std::uint64_t before = rooms_.journal->acknowledged_number();
  server_.Send(frame);
  RunFor(std::chrono::milliseconds(10));
  EXPECT_EQ(rooms_.journal->acknowledged_number(), before);
  EXPECT_FALSE(session_->status().connected);
  EXPECT_NE(session_->status().last_error.find("lineage"), std::string::npos);

  server_.acknowledges = true;
  server_.lineage = old.lineage;
  RunFor(minutes(1));
  EXPECT_EQ(Unacknowledged(), 0) << "the next stream is of that lineage";
}

TEST_F(SessionTest, RefillsAServerThatWentBack) {
  AppendSealed(10);
  RunFor(seconds(2));
  ASSERT_EQ(Unacknowledged(), 0);
  server_.ForgetAfter(rooms_.journal->head().chain, 3);
  server_.Cut(base::Unavailable("restored from a backup"));
  RunFor(minutes(1));
  ExpectEverythingStoredOnce();
  EXPECT_EQ(server_.chains().size(), 1);
}

TEST_F(SessionTest, BeginsANewChainWhenItCannotRefill) {
  AppendSealed(5);
  RunFor(seconds(2));
  RunFor(std::chrono::hours(24 * 8));
  AppendSealed(1);  // retires what was acknowledged a week ago
  RunFor(seconds(2));
  server_.ForgetAfter(rooms_.journal->head().chain, 1);
  server_.Cut(base::Unavailable("restored from an old backup"));
  RunFor(minutes(2));
  EXPECT_EQ(server_.chains().size(), 2);
  EXPECT_EQ(Unacknowledged(), 0);
  const auto first =
      wire::ParseEvent(server_.chains().at(rooms_.journal->head().chain)[0].bodies[0]);
  EXPECT_EQ(std::get<model::ChainStarted>(first->body).reason, model::ChainReason::kCannotRefill);
}

TEST_F(SessionTest, BeginsANewChainWhenTheServersHeadIsNotOurs) {
  AppendSealed(3);
  RunFor(seconds(2));
  const model::Id old_chain = rooms_.journal->head().chain;
  server_.intercept = [&](const v1::AgentFrame& frame) {
    v1::Hello hello;
    if (!frame.has_hello() || !hello.ParseFromString(frame.hello().hello())) return false;
    if (hello.head().chain_id() != base::AsText(old_chain.view())) return false;
    v1::ServerFrame welcome;
    v1::ChainHead& head = *welcome.mutable_welcome()->mutable_head();
    head.set_chain_id(hello.head().chain_id());
    head.set_number(50);
    head.set_header_digest(std::string(32, 'd'));
    server_.Send(welcome);
    return true;
  };
  server_.reachable = false;
  server_.Cut(base::Unavailable("gone"));
  RunFor(std::chrono::milliseconds(100));
  AppendSealed(2);  // never delivered in the old chain
  server_.reachable = true;
  RunFor(minutes(5));
  EXPECT_NE(rooms_.journal->head().chain, old_chain);
  ExpectEverythingStoredOnce();
  EXPECT_EQ(Unacknowledged(), 0);
}

TEST_F(SessionTest, SlowsDownWhenABatchIsRefused) {
  RunFor(seconds(1));
  int refused = 0;
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_batch()) return false;
    ++refused;
    v1::ServerFrame answer;
    answer.mutable_batch_refused()->set_chain_id(
        std::string(base::AsText(rooms_.journal->head().chain.view())));
    answer.mutable_batch_refused()->set_number(rooms_.journal->head().number);
    answer.mutable_batch_refused()->set_message("not now");
    server_.Send(answer);
    return true;
  };
  AppendSealed(1);
  RunFor(minutes(14));
  EXPECT_EQ(refused, 1);
  EXPECT_TRUE(session_->status().connected) << "policy still flows";
  EXPECT_NE(session_->status().last_error.find("not now"), std::string::npos);
  server_.intercept = nullptr;
  RunFor(minutes(2));
  ExpectEverythingStoredOnce();
  EXPECT_EQ(session_->status().last_error, "") << "it is stored by now";
  const std::vector<std::string> logged = Logged();
  ASSERT_EQ(logged.size(), 3U);
  EXPECT_NE(logged[1].find("warning sync: the server does not store batch"), std::string::npos);
  EXPECT_EQ(logged[2], "info sync: the server stores this endpoint's batches again");
}

TEST_F(SessionTest, EndsAStreamOnWhichTheSameIsAskedForAgainAndAgain) {
  RunFor(seconds(1));
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_batch()) return false;
    v1::ServerFrame answer;
    answer.mutable_resend()->set_chain_id(
        std::string(base::AsText(rooms_.journal->head().chain.view())));
    answer.mutable_resend()->set_number(1);
    server_.Send(answer);
    return true;
  };
  AppendSealed(1);
  RunFor(seconds(1));
  EXPECT_FALSE(session_->status().connected && server_.connections() == 1);
}

TEST_F(SessionTest, BringsAnOfferedPolicyIntoForceWithinASecond) {
  const sensors::Observation seen[] = {tests::Seen("/m/bad", "bad")};
  ASSERT_TRUE(rooms_.inventory->Apply(seen).has_value());
  RunFor(seconds(3));
  const tests::OfferedPolicy offered = MakePolicy({.version = 4, .denied_contents = {"bad"}});
  server_.Offer(offered.bundle, offered.parts);
  RunFor(seconds(1));
  EXPECT_EQ(rooms_.policy->version(), 4);
  EXPECT_EQ(rooms_.inventory->Count()->deny, 1);
  RunFor(seconds(3));
  EXPECT_EQ(Unacknowledged(), 0) << "and the server knows";
}

TEST_F(SessionTest, TakesAnOfferThatCameWhileAnEarlierRunsPolicyWasStillBeingJudged) {
  // More than one transaction judges, so that judging takes a while.
  for (std::size_t i = 0; i <= base::limits::kMaxSightingsPerTransaction; ++i) {
    const sensors::Observation seen[] = {tests::Seen("/m/" + std::to_string(i), "good")};
    ASSERT_TRUE(rooms_.inventory->Apply(seen).has_value());
  }
  RunFor(seconds(1));
  const tests::OfferedPolicy first = MakePolicy({.version = 4, .denied_contents = {"bad"}});
  server_.Offer(first.bundle, first.parts);
  ASSERT_TRUE(rooms_.loop.RunUntil([&] { return rooms_.policy->applying(); }, seconds(2)));
  const tests::OfferedPolicy second = MakePolicy({.version = 5, .denied_contents = {"worse"}});
  server_.Offer(second.bundle, second.parts);
  Restart();  // in force and not told: the new run judges again
  const int connections = server_.connections();
  {
    const auto busy = sqlite::Transaction::Begin(*rooms_.database);
    RunFor(seconds(2));
    ASSERT_TRUE(session_->status().connected);
    ASSERT_EQ(rooms_.policy->version(), 4);
    ASSERT_TRUE(rooms_.policy->applying());
  }
  RunFor(seconds(20));
  EXPECT_EQ(rooms_.policy->version(), 5);
  EXPECT_EQ(server_.connections(), connections) << "on this very stream";
}

TEST_F(SessionTest, AsksForNoPartThatTheOfferBrought) {
  RunFor(seconds(1));
  const tests::OfferedPolicy offered = MakePolicy({.version = 4, .denied_contents = {"bad"}});
  server_.brings_parts = true;
  server_.Offer(offered.bundle, offered.parts);
  RunFor(seconds(1));
  EXPECT_EQ(rooms_.policy->version(), 4);
  EXPECT_EQ(server_.part_requests(), 0);
}

TEST_F(SessionTest, AsksForPartsThatTheOfferBroughtInPiecesOrInExcess) {
  RunFor(seconds(1));
  const tests::OfferedPolicy offered = MakePolicy({.version = 4, .denied_contents = {"bad"}});
  server_.intercept = [](const v1::AgentFrame& frame) { return frame.has_hello(); };
  server_.Offer(offered.bundle, offered.parts);
  server_.Cut(base::Unavailable("so that only the frame below offers it"));
  server_.intercept = nullptr;
  server_.Withdraw();
  RunFor(minutes(1));
  ASSERT_EQ(rooms_.policy->version(), 0);
  v1::ServerFrame frame;
  wire::ToProto(offered.bundle, *frame.mutable_offer()->mutable_bundle());
  const auto bring = [&](std::string sha256, std::string data, std::uint64_t total_bytes) {
    v1::PartChunk& chunk = *frame.mutable_offer()->add_parts();
    chunk.set_sha256(std::move(sha256));
    chunk.set_total_bytes(total_bytes);
    chunk.set_data(std::move(data));
  };
  const auto& [sha256, content] = *offered.parts.begin();
  bring(std::string(base::AsText(sha256.view())), content.substr(1), content.size());
  const std::string excess(base::limits::kMaxOfferedPartsBytes, 'x');
  bring(std::string(32, 'x'), excess, excess.size());
  const auto& [other_sha256, other] = *offered.parts.rbegin();
  bring(std::string(base::AsText(other_sha256.view())), other, other.size());
  std::set<std::string> asked;
  server_.intercept = [&asked](const v1::AgentFrame& said) {
    if (said.has_part_request()) asked.insert(said.part_request().sha256());
    return false;
  };
  server_.Send(frame);
  RunFor(seconds(1));
  EXPECT_EQ(rooms_.policy->version(), 4);
  EXPECT_EQ(asked.size(), 2) << "the one in pieces and the one after the excess";
}

TEST_F(SessionTest, APartThatTheOfferBringsReplacesWhatAnEarlierStreamBroughtOfIt) {
  RunFor(seconds(1));
  const tests::OfferedPolicy offered = MakePolicy({.version = 4, .denied_contents = {"bad"}});
  bool spoilt = false;
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_part_request() || spoilt) return false;
    spoilt = true;
    const std::string& sha256 = frame.part_request().sha256();
    v1::ServerFrame chunk;
    chunk.mutable_part_chunk()->set_sha256(sha256);
    chunk.mutable_part_chunk()->set_data("?");
    for (const auto& [digest, content] : offered.parts) {
      if (sha256 == base::AsText(digest.view())) {
        chunk.mutable_part_chunk()->set_total_bytes(content.size());
      }
    }
    server_.Send(chunk);
    return true;
  };
  server_.Offer(offered.bundle, offered.parts);
  RunFor(seconds(1));
  ASSERT_TRUE(spoilt);
  const std::uint64_t asked = server_.part_requests();
  server_.brings_parts = true;
  server_.Cut(base::Unavailable("the network broke in the middle of a part"));
  RunFor(minutes(1));
  EXPECT_EQ(rooms_.policy->version(), 4);
  EXPECT_EQ(server_.part_requests(), asked);
}

TEST_F(SessionTest, FetchesTheRestOfAPartOnTheNextStream) {
  RunFor(seconds(1));
  std::vector<std::string> contents;
  for (int i = 0; i < 50; ++i) contents.push_back("model " + std::to_string(i));
  const tests::OfferedPolicy offered = MakePolicy({.version = 4, .denied_contents = contents});
  std::set<std::uint64_t> offsets;
  int requests = 0;
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_part_request()) return false;
    if (frame.part_request().offset() > 0) {
      EXPECT_TRUE(offsets.insert(frame.part_request().offset()).second || requests < 6);
    }
    if (++requests != 5) return false;
    server_.Cut(base::Unavailable("the network broke"));
    return true;
  };
  server_.Offer(offered.bundle, offered.parts);
  RunFor(minutes(1));
  EXPECT_EQ(rooms_.policy->version(), 4);
  const std::size_t chunks = (offered.parts.at(offered.manifest.parts[0].sha256).size() + 99) / 100;
  EXPECT_LE(requests, static_cast<int>(chunks) + 1 + 2) << "nothing was fetched twice";
}

TEST_F(SessionTest, TakesARootWithoutABundleForNoBrokenPromise) {
  RunFor(seconds(1));
  const tests::OfferedPolicy offered = MakePolicy({.version = 4, .denied_contents = {"bad"}});
  int requests = 0;
  server_.intercept = [&](const v1::AgentFrame& frame) {
    if (!frame.has_part_request() || ++requests < 2) return false;
    server_.Cut(base::Unavailable("the network broke in the middle of a part"));
    server_.Withdraw();
    return true;
  };
  server_.Offer(offered.bundle, offered.parts);
  RunFor(seconds(5));
  ASSERT_EQ(requests, 2);
  ASSERT_TRUE(session_->status().connected);
  const int connections = server_.connections();
  v1::ServerFrame root;
  wire::ToProto(tests::MakeTestFleet().signed_root, *root.mutable_offer()->mutable_root());
  server_.Send(root);
  RunFor(base::limits::kAnswerTimeout + seconds(5));
  EXPECT_EQ(server_.connections(), connections) << session_->status().last_error;
}

TEST_F(SessionTest, FollowsEveryRootThatIsOffered) {
  RunFor(seconds(1));
  const wire::SignedDocument roots[] = {
      tests::SignRoot(tests::MakeRoot({4}, 1, 2), {1, 4}),
      tests::SignRoot(tests::MakeRoot({5}, 1, 3), {4, 5}),
  };
  for (const wire::SignedDocument& root : roots) {
    v1::ServerFrame frame;
    wire::ToProto(root, *frame.mutable_offer()->mutable_root());
    server_.Send(frame);
  }
  RunFor(seconds(1));
  EXPECT_EQ(rooms_.policy->root()->version, 3);
  EXPECT_TRUE(session_->status().connected);
}

TEST_F(SessionTest, KeepsItsPolicyWhenAPartCannotBeHad) {
  RunFor(seconds(1));
  const tests::OfferedPolicy good = MakePolicy({.version = 4});
  server_.Offer(good.bundle, good.parts);
  RunFor(seconds(2));
  tests::OfferedPolicy next = MakePolicy({.version = 5, .denied_contents = {"bad"}});
  server_.Offer(next.bundle, {});
  RunFor(seconds(2));
  EXPECT_EQ(rooms_.policy->version(), 4);
  EXPECT_EQ(rooms_.ToldOf<model::PolicyRefused>().at(0).refusal,
            model::PolicyRefusal::kPartMissing);
  EXPECT_TRUE(session_->status().connected);
}

TEST_F(SessionTest, KeepsItsPolicyWhenAPartIsNotWhatItShouldBe) {
  RunFor(seconds(1));
  std::uint64_t version = 4;
  for (const bool brought : {false, true}) {
    tests::OfferedPolicy offered =
        MakePolicy({.version = version, .denied_contents = {"bad" + std::to_string(version)}});
    offered.parts.at(offered.manifest.parts[0].sha256).back() ^= 1;
    server_.brings_parts = brought;
    server_.Offer(offered.bundle, offered.parts);
    RunFor(seconds(2));
    EXPECT_EQ(rooms_.policy->version(), 0);
    const auto told = rooms_.ToldOf<model::PolicyRefused>();
    ASSERT_EQ(told.size(), version - 3);
    EXPECT_EQ(told.back().refusal, model::PolicyRefusal::kPartMissing);
    EXPECT_EQ(told.back().version, version);
    ++version;
  }
}

TEST_F(SessionTest, TakesExceptionsAndSaysWhichItHas) {
  RunFor(seconds(1));
  for (const bool of_endpoint : {false, true}) {
    model::ExceptionSet set = tests::MakeExceptionSet(of_endpoint ? 4 : 3, {});
    if (of_endpoint) set.endpoint = model::Id{{5}};
    v1::ServerFrame frame;
    wire::ToProto(tests::SignExceptions(set), *frame.mutable_exceptions());
    server_.Send(frame);
  }
  RunFor(seconds(1));
  EXPECT_TRUE(session_->status().connected);
  v1::Hello hello;
  server_.intercept = [&hello](const v1::AgentFrame& frame) {
    if (frame.has_hello()) {
      EXPECT_TRUE(hello.ParseFromString(frame.hello().hello()));
    }
    return false;
  };
  server_.Cut(base::Unavailable("gone"));
  RunFor(minutes(2));
  EXPECT_EQ(hello.fleet_exceptions_version(), 3);
  EXPECT_EQ(hello.endpoint_exceptions_version(), 4);
}

// One with lists in force, to which the server offers others.
class ListsChangeTest : public SessionTest {
 protected:
  ListsChangeTest() {
    RunFor(seconds(1));
    server_.Offer(before_.bundle, before_.parts);
    RunFor(seconds(3));
    EXPECT_EQ(rooms_.policy->version(), 4);
  }

  // Answers every request that says what the agent holds with a delta, and counts them.
  void AnswerWith(std::string delta) {
    server_.intercept = [this, delta = std::move(delta)](const v1::AgentFrame& frame) {
      const v1::PartRequest& request = frame.part_request();
      if (request.held_sha256().empty()) return false;
      ++asked_;
      EXPECT_EQ(request.held_sha256(), base::AsText(before_.manifest.parts[0].sha256.view()));
      EXPECT_EQ(request.sha256(), base::AsText(after_.manifest.parts[0].sha256.view()));
      if (delta.empty()) return false;
      v1::ServerFrame answer;
      answer.mutable_part_chunk()->set_sha256(request.sha256());
      answer.mutable_part_chunk()->set_total_bytes(ListsOf(after_).size());
      answer.mutable_part_chunk()->set_delta(delta);
      server_.Send(answer);
      server_.Send(answer);  // the network may double it
      return true;
    };
  }
  static const std::string& ListsOf(const tests::OfferedPolicy& policy) {
    return policy.parts.at(policy.manifest.parts[0].sha256);
  }
  static std::string DeltaBetween(const tests::OfferedPolicy& from,
                                  const tests::OfferedPolicy& to) {
    const auto delta =
        model::EncodeListsDelta(base::AsBytes(ListsOf(from)), base::AsBytes(ListsOf(to)), 100'000);
    return std::string(base::AsText(*delta));
  }
  // Requests that the change cost.
  std::uint64_t Change() {
    const std::uint64_t before = server_.part_requests();
    server_.Offer(after_.bundle, after_.parts);
    RunFor(seconds(3));
    EXPECT_EQ(rooms_.policy->version(), 5);
    EXPECT_EQ(rooms_.ToldOf<model::PolicyRefused>().size(), 0U);
    EXPECT_TRUE(session_->status().connected);
    return server_.part_requests() - before;
  }

  const tests::OfferedPolicy before_ =
      MakePolicy({.version = 4, .denied_contents = {"1", "2", "3", "4", "5", "6", "7", "8"}});
  const tests::OfferedPolicy after_ =
      MakePolicy({.version = 5, .denied_contents = {"1", "2", "3", "4", "bad", "6", "7", "8"}});
  int asked_ = 0;
};

TEST_F(ListsChangeTest, TakesWhatChangedOfTheListsInsteadOfAllOfThem) {
  AnswerWith(DeltaBetween(before_, after_));
  EXPECT_EQ(Change(), 0U) << "no other request than the one that was answered by a delta";
  EXPECT_EQ(asked_, 1);
  const sensors::Observation seen[] = {tests::Seen("/m/bad", "bad"), tests::Seen("/m/5", "5")};
  ASSERT_TRUE(rooms_.inventory->Apply(seen).has_value());
  EXPECT_EQ(rooms_.inventory->Count()->deny, 1);
}

TEST_F(ListsChangeTest, FetchesAllOfThemWhenWhatChangedCannotBeRead) {
  AnswerWith("nonsense");
  EXPECT_GT(Change(), 0U);
  EXPECT_EQ(asked_, 1) << "and asks for no other delta";
}

TEST_F(ListsChangeTest, FetchesAllOfThemWhenWhatChangedLeadsElsewhere) {
  const tests::OfferedPolicy forged =
      MakePolicy({.version = 5, .denied_contents = {"1", "2", "3", "4", "5", "6", "7", "9"}});
  AnswerWith(DeltaBetween(before_, forged));
  EXPECT_GT(Change(), 0U);
  EXPECT_EQ(asked_, 1);
}

TEST_F(ListsChangeTest, FetchesAllOfThemFromAServerThatKnowsNoDeltas) {
  AnswerWith("");
  EXPECT_GT(Change(), 0U);
  EXPECT_EQ(asked_, 1);
}

// A laptop that is away for days with a journal too small for what happens on it.
class FullJournalTest : public SessionTest {
 protected:
  static constexpr int kFiles = 6;
  static constexpr std::size_t kMaxBytes = 32 * 1024;

  FullJournalTest() : SessionTest(Small()) {}

  // One walk that finds other contents than the one before it.
  base::Status Walk(int hour) {
    std::vector<sensors::Observation> seen;
    seen.emplace_back(tests::WalkStarted("/m"));
    for (int file = 0; file < kFiles; ++file) {
      seen.emplace_back(tests::Seen(PathOf(file), ContentOf(file, hour)));
    }
    seen.emplace_back(tests::WalkFinished("/m"));
    return rooms_.inventory->Apply(seen);
  }
  static std::string PathOf(int file) { return "/m/" + std::to_string(file); }
  static std::string ContentOf(int file, int hour) {
    return std::to_string(file) + " at " + std::to_string(hour);
  }

  // Events that the server's headers promise and whose bodies never came, by class.
  std::map<model::PriorityClass, std::uint64_t> Missing() {
    std::map<model::PriorityClass, std::uint64_t> missing;
    for (const auto& batch : Stored()) {
      const std::uint64_t lost = batch.header.event_count - batch.bodies.size();
      if (lost > 0) missing[batch.header.priority] += lost;
    }
    return missing;
  }
  // What the events say that reached the server.
  std::map<model::PriorityClass, std::uint64_t> DropsTold() {
    std::map<model::PriorityClass, std::uint64_t> told;
    for (const std::string& body : server_.Bodies()) {
      const auto event = wire::ParseEvent(body);
      EXPECT_TRUE(event.has_value()) << event.error().ToString();
      const auto* drops = std::get_if<model::BodiesDropped>(&event->body);
      if (drops != nullptr) told[drops->priority] += drops->count;
    }
    return told;
  }
  const std::vector<tests::FakeServer::Stored>& Stored() {
    return server_.chains().at(rooms_.journal->head().chain);
  }

 private:
  static journal::Limits Small() {
    journal::Limits limits;
    limits.max_bytes = kMaxBytes;
    return limits;
  }
};

TEST_F(FullJournalTest, GoesOnScanningForDaysWithoutAServerAndThenTellsWhatItDropped) {
  ASSERT_TRUE(Walk(0).has_value());
  RunFor(minutes(1));
  ASSERT_EQ(Unacknowledged(), 0);
  ASSERT_EQ(Missing().size(), 0);

  server_.reachable = false;
  server_.Cut(base::Unavailable("gone"));
  constexpr int kHours = 5 * 24;
  for (int hour = 1; hour <= kHours; ++hour) {
    const auto walked = Walk(hour);
    ASSERT_TRUE(walked.has_value()) << "hour " << hour << ": " << walked.error().ToString();
    RunFor(std::chrono::hours(1));
    ASSERT_LE(rooms_.journal->Count()->bytes, kMaxBytes);
    if (hour == kHours / 2) Restart();
  }
  EXPECT_TRUE(DropsTold().empty());
  server_.reachable = true;
  RunFor(base::limits::kLastRetryDelay + minutes(1));

  // One chain without a hole, from its first batch to its last; the server itself complains of a
  // signature, number or predecessor.
  ASSERT_EQ(Unacknowledged(), 0);
  ASSERT_EQ(server_.chains().size(), 1);
  EXPECT_EQ(Stored().size(), rooms_.journal->head().number);
  EXPECT_EQ(Stored().back().header_digest, rooms_.journal->head().header_digest);

  const auto missing = Missing();
  ASSERT_GT(missing.at(model::PriorityClass::kInventory), 0);
  EXPECT_FALSE(missing.contains(model::PriorityClass::kControl));
  EXPECT_EQ(DropsTold(), missing);
  EXPECT_EQ(Stored().back().header.dropped, missing);

  // What lies there now is told as ever.
  for (int file = 0; file < kFiles; ++file) {
    const auto known = rooms_.inventory->Find({PathOf(file)});
    ASSERT_TRUE(known.has_value() && known->has_value());
    EXPECT_EQ((*known)->sighting.facts.name, ContentOf(file, kHours));
  }
  ASSERT_TRUE(Walk(kHours + 1).has_value());
  RunFor(minutes(1));
  EXPECT_EQ(Unacknowledged(), 0);
  EXPECT_EQ(Missing(), missing) << "nothing more is lost";
  EXPECT_EQ(Stored().back().header.dropped, missing);
}

}  // namespace
}  // namespace weighmaster::agent::sync
