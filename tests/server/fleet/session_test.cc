#include "server/fleet/session.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "policy/base/limits.h"
#include "policy/model/lists/digest_lists.h"
#include "policy/model/lists/lists_delta.h"
#include "proto/wire/convert.h"
#include "server/findings/rules.h"
#include "server/fleet/fleet.h"
#include "tests/server/server_world.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::server::fleet {
namespace {

using v1::ServerFrame;

std::string Text(base::ByteView bytes) { return std::string(base::AsText(bytes)); }

// What went over one stream, seen from the agent's side. Outlives the channel.
struct Line {
  std::vector<ServerFrame> frames;
  bool closed = false;
  std::size_t queued = 0;
};

class ScriptedChannel final : public wire::ServerChannel {
 public:
  explicit ScriptedChannel(std::shared_ptr<Line> line) : line_(std::move(line)) {}
  ~ScriptedChannel() override { line_->closed = true; }
  ScriptedChannel(const ScriptedChannel&) = delete;
  ScriptedChannel& operator=(const ScriptedChannel&) = delete;
  void Send(const ServerFrame& frame) override { line_->frames.push_back(frame); }
  std::size_t queued() const override { return line_->queued; }

 private:
  const std::shared_ptr<Line> line_;
};

// An agent that does exactly what a test says.
class ScriptedAgent {
 public:
  ScriptedAgent(tests::ServerWorld& world, std::uint8_t n,
                std::optional<model::Id> tls_identity = std::nullopt)
      : world_(world), n_(n) {
    listener_ = world.fleet_.Accept(std::make_unique<ScriptedChannel>(line_), tls_identity);
    EXPECT_NE(listener_, nullptr);
    world_.loop_.RunReady();
  }

  v1::Hello Hello() {
    v1::Hello hello;
    hello.set_endpoint_id(Text(tests::TestId(n_).view()));
    hello.set_key_id(Text(tests::TestKey(10 + n_).public_key().id().view()));
    hello.set_nonce(line_->frames.at(0).challenge().nonce());
    hello.set_wall_time_us(base::ToMicroseconds(world_.loop_.Now()));
    hello.mutable_head()->set_chain_id(Text(tests::TestId(0xc1).view()));
    hello.set_policy_line("default");
    hello.set_root_version(1);
    hello.mutable_machine()->set_hostname("laptop");
    return hello;
  }
  void Say(const v1::Hello& hello, int key) {
    v1::AgentFrame frame;
    frame.mutable_hello()->set_hello(hello.SerializeAsString());
    const auto signature =
        tests::TestKey(key).Sign(wire::DomainDigest(wire::kDomainHello, frame.hello().hello()));
    frame.mutable_hello()->set_signature(Text(*signature));
    Deliver(frame);
  }
  void SayHello() { Say(Hello(), 10 + n_); }
  void Send(const wire::SealedBatch& batch) {
    v1::AgentFrame frame;
    wire::ToProto(batch, *frame.mutable_batch());
    Deliver(frame);
  }
  void Deliver(const v1::AgentFrame& frame) {
    if (!line_->closed) listener_->OnFrame(frame);
  }
  void Close() { listener_->OnClosed(base::Unavailable("closed by the test")); }

  const Line& line() const { return *line_; }
  Line& mutable_line() { return *line_; }
  // The last frame of a kind.
  const ServerFrame* Last(ServerFrame::FrameCase kind) const {
    for (auto it = line_->frames.rbegin(); it != line_->frames.rend(); ++it) {
      if (it->frame_case() == kind) return &*it;
    }
    return nullptr;
  }
  std::optional<v1::RefusalReason> refused() const {
    const ServerFrame* frame = Last(ServerFrame::kRefusal);
    if (frame == nullptr) return std::nullopt;
    return frame->refusal().reason();
  }
  std::size_t Count(ServerFrame::FrameCase kind) const {
    std::size_t count = 0;
    for (const ServerFrame& frame : line_->frames) count += frame.frame_case() == kind ? 1U : 0U;
    return count;
  }

 private:
  tests::ServerWorld& world_;
  const std::uint8_t n_;
  const std::shared_ptr<Line> line_ = std::make_shared<Line>();
  wire::ServerListener* listener_ = nullptr;
};

class SessionTest : public ::testing::Test {
 protected:
  void Run() { world_.loop_.RunReady(); }

  tests::ServerWorld world_;
  const model::Id endpoint_ = world_.Enrol(1);
  tests::EndpointScript script_{tests::TestKey(11), tests::TestId(0xc1)};
};

TEST_F(SessionTest, WelcomesASignedHelloWithTheHeadOfItsChain) {
  ScriptedAgent agent(world_, 1);
  ASSERT_EQ(agent.line().frames.size(), 1U);
  EXPECT_EQ(agent.line().frames[0].challenge().nonce().size(), 32U);
  EXPECT_EQ(agent.line().frames[0].challenge().lineage_id(), Text(tests::TestId(0x11).view()));
  agent.SayHello();
  Run();
  const ServerFrame* welcome = agent.Last(ServerFrame::kWelcome);
  ASSERT_NE(welcome, nullptr);
  EXPECT_EQ(welcome->welcome().head().number(), 0U);
  EXPECT_EQ(welcome->welcome().clock_offset_us(), 0);
  EXPECT_TRUE(world_.fleet_.IsConnected(endpoint_));

  const auto start = script_.Start();
  agent.Send(start);
  Run();
  ScriptedAgent next(world_, 1);
  next.SayHello();
  Run();
  const v1::ChainHead& head = next.Last(ServerFrame::kWelcome)->welcome().head();
  EXPECT_EQ(head.number(), 1U);
  EXPECT_EQ(head.header_digest(), Text(wire::HeaderDigest(start.header).view()));
}

TEST_F(SessionTest, RefusesAHelloThatIsNotTheEndpointsOwn) {
  {
    ScriptedAgent agent(world_, 1);
    agent.Say(agent.Hello(), 30);
    Run();
    EXPECT_EQ(agent.refused(), v1::REFUSAL_REASON_BAD_SIGNATURE);
  }
  {
    ScriptedAgent agent(world_, 1);
    v1::Hello replayed = agent.Hello();
    replayed.set_nonce(std::string(32, 'x'));
    agent.Say(replayed, 11);
    Run();
    EXPECT_EQ(agent.refused(), v1::REFUSAL_REASON_PROTOCOL);
  }
  {
    ScriptedAgent agent(world_, 2);
    agent.SayHello();
    Run();
    EXPECT_EQ(agent.refused(), v1::REFUSAL_REASON_UNKNOWN_ENDPOINT);
  }
  {
    ScriptedAgent agent(world_, 1, tests::TestId(9));
    agent.SayHello();
    Run();
    EXPECT_EQ(agent.refused(), v1::REFUSAL_REASON_BAD_SIGNATURE);
  }
  EXPECT_EQ(world_.fleet_.connected(), 0U);
}

TEST_F(SessionTest, ClosesARefusedStreamAfterTheFarewellAndListensToNothingMore) {
  ScriptedAgent agent(world_, 1);
  agent.Say(agent.Hello(), 30);
  Run();
  EXPECT_FALSE(agent.line().closed);
  agent.SayHello();
  agent.Send(script_.Start());
  Run();
  EXPECT_EQ(agent.Last(ServerFrame::kWelcome), nullptr);
  EXPECT_EQ(world_.queries_->FindChain(endpoint_, tests::TestId(0xc1))->number, 0U);
  world_.loop_.RunFor(base::limits::kFarewellDelay);
  EXPECT_TRUE(agent.line().closed);
}

TEST_F(SessionTest, EndsAStreamThatNeverSaysHelloOrSendsBeforeTheWelcome) {
  ScriptedAgent silent(world_, 1);
  world_.loop_.RunFor(base::limits::kHandshakeTimeout);
  EXPECT_EQ(silent.refused(), v1::REFUSAL_REASON_PROTOCOL);
  ScriptedAgent hasty(world_, 1);
  hasty.Send(script_.Start());
  Run();
  EXPECT_EQ(hasty.refused(), v1::REFUSAL_REASON_PROTOCOL);
}

TEST_F(SessionTest, AcknowledgesAGroupOnceAndSigned) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  std::vector<wire::SealedBatch> batches = {script_.Start()};
  for (int i = 0; i < 9; ++i) batches.push_back(script_.Seal({model::BodiesDropped{}}));
  for (const auto& batch : batches) agent.Send(batch);
  EXPECT_EQ(agent.Count(ServerFrame::kAcknowledgement), 0U);
  Run();
  EXPECT_LE(agent.Count(ServerFrame::kAcknowledgement), 3U);
  const ServerFrame* frame = agent.Last(ServerFrame::kAcknowledgement);
  ASSERT_NE(frame, nullptr);
  const auto document = wire::FromProto(frame->acknowledgement());
  ASSERT_TRUE(document.has_value());
  const auto acknowledged = wire::VerifyAcknowledgement(*document, tests::MakeTestFleet().root);
  ASSERT_TRUE(acknowledged.has_value()) << acknowledged.error().ToString();
  EXPECT_EQ(acknowledged->number, 10U);
  EXPECT_EQ(acknowledged->header_digest, wire::HeaderDigest(batches.back().header));
  EXPECT_EQ(acknowledged->lineage, tests::TestId(0x11));
}

TEST_F(SessionTest, AcknowledgesNothingThatIsNotCommitted) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  world_.store_->Fail(tests::FailingStore::Mode::kBeforeCommit, 2);
  agent.Send(script_.Start());
  Run();
  EXPECT_EQ(agent.Count(ServerFrame::kAcknowledgement), 0U);
  world_.loop_.RunFor(std::chrono::minutes(1));
  EXPECT_EQ(agent.Count(ServerFrame::kAcknowledgement), 1U);
}

TEST_F(SessionTest, AsksOnceForAMissingBatchAndNeverForARefusedOne) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  const auto start = script_.Start();
  const auto second = script_.Seal({model::BodiesDropped{}});
  const auto third = script_.Seal({model::BodiesDropped{}});
  agent.Send(second);
  agent.Send(third);
  Run();
  ASSERT_EQ(agent.Count(ServerFrame::kResend), 1U);
  EXPECT_EQ(agent.Last(ServerFrame::kResend)->resend().number(), 1U);
  agent.Send(start);
  Run();
  auto tampered = second;
  tampered.events[0].body.back() ^= 1;
  agent.Send(tampered);
  agent.Send(third);
  Run();
  ASSERT_EQ(agent.Count(ServerFrame::kBatchRefused), 1U);
  EXPECT_FALSE(agent.Last(ServerFrame::kBatchRefused)->batch_refused().quarantined());
  EXPECT_EQ(agent.Count(ServerFrame::kResend), 1U);
}

TEST_F(SessionTest, TheNewestStreamFencesTheOlderOne) {
  ScriptedAgent older(world_, 1);
  older.SayHello();
  Run();
  ScriptedAgent newer(world_, 1);
  Run();
  EXPECT_EQ(older.refused(), std::nullopt) << "only a signed hello fences";
  newer.SayHello();
  Run();
  EXPECT_EQ(older.refused(), v1::REFUSAL_REASON_FENCED);
  world_.loop_.RunFor(base::limits::kFarewellDelay);
  EXPECT_TRUE(older.line().closed);
  EXPECT_TRUE(world_.fleet_.IsConnected(endpoint_));
}

TEST_F(SessionTest, RevocationClosesOpenStreamsAtOnceAndForGood) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  ScriptedAgent late(world_, 1);  // its hello is looked up before the revocation, answered after
  std::optional<bool> was_connected;
  world_.fleet_.Revoke(store::Scope::WholeFleet(), endpoint_, "lost",
                       [&](base::Result<bool> reply) {
                         ASSERT_TRUE(reply.has_value());
                         was_connected = *reply;
                       });
  late.SayHello();
  Run();
  EXPECT_EQ(was_connected, true);
  EXPECT_EQ(agent.refused(), v1::REFUSAL_REASON_REVOKED);
  EXPECT_EQ(late.refused(), v1::REFUSAL_REASON_REVOKED);
  EXPECT_FALSE(world_.fleet_.IsConnected(endpoint_));
  ScriptedAgent again(world_, 1);
  again.SayHello();
  Run();
  EXPECT_EQ(again.refused(), v1::REFUSAL_REASON_REVOKED);
}

TEST_F(SessionTest, MeasuresTheClockAndFindsOneThatIsADayOff) {
  ScriptedAgent agent(world_, 1);
  v1::Hello hello = agent.Hello();
  hello.set_wall_time_us(hello.wall_time_us() - 86'400'000'000);
  agent.Say(hello, 11);
  Run();
  EXPECT_EQ(agent.Last(ServerFrame::kWelcome)->welcome().clock_offset_us(), 86'400'000'000);
  EXPECT_TRUE(world_.HasFinding(findings::kClockOff));
}

TEST_F(SessionTest, OffersANewPolicyAtOnceAndOnConnectOnlyToWhomItIsNew) {
  ScriptedAgent connected(world_, 1);
  connected.SayHello();
  Run();
  ASSERT_TRUE(world_.Publish(world_.Policy(5)).has_value());
  ASSERT_EQ(connected.Count(ServerFrame::kOffer), 1U);
  EXPECT_FALSE(connected.Last(ServerFrame::kOffer)->offer().has_root());
  const auto offered = wire::FromProto(connected.Last(ServerFrame::kOffer)->offer().bundle());
  ASSERT_TRUE(offered.has_value());
  EXPECT_EQ(offered->bytes, world_.rollout_.current()->document.bytes);

  ScriptedAgent old(world_, 1);
  v1::Hello hello = old.Hello();
  hello.set_root_version(0);
  old.Say(hello, 11);
  Run();
  ASSERT_EQ(old.Count(ServerFrame::kOffer), 2U);
  EXPECT_TRUE(old.line().frames.at(2).offer().has_root()) << "before the bundle";
  EXPECT_TRUE(old.line().frames.at(3).offer().has_bundle());

  ScriptedAgent current(world_, 1);
  hello = current.Hello();
  hello.set_manifest_sha256(Text(world_.rollout_.current()->manifest_sha256.view()));
  current.Say(hello, 11);
  Run();
  EXPECT_EQ(current.Count(ServerFrame::kOffer), 0U);
  EXPECT_EQ(world_.fleet_.policies_offered(), 2U) << "roots alone are not counted";
}

TEST_F(SessionTest, OffersEveryRootThatAnAgentLacksBeforeTheBundle) {
  const std::string fleet = tests::MakeTestFleet().root.fleet_id;
  const wire::SignedDocument roots[] = {tests::SignRoot(tests::MakeRoot({4}, 1, 2), {1, 4}),
                                        tests::SignRoot(tests::MakeRoot({5}, 1, 3), {4, 5})};
  ASSERT_TRUE(world_.store_->AdoptFleet(fleet, tests::TestId(9), 2, roots[0]).has_value());
  ASSERT_TRUE(world_.store_->AdoptFleet(fleet, tests::TestId(9), 3, roots[1]).has_value());
  ASSERT_TRUE(world_.rollout_.Load(*world_.queries_).has_value());

  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  ASSERT_EQ(agent.Count(ServerFrame::kOffer), 2U) << "with no policy published";
  for (std::size_t i = 0; i < 2; ++i) {
    const v1::Offer& offer = agent.line().frames.at(2 + i).offer();
    EXPECT_FALSE(offer.has_bundle());
    EXPECT_EQ(offer.root().root(), roots[i].bytes);
  }

  ScriptedAgent next(world_, 1);
  v1::Hello hello = next.Hello();
  hello.set_root_version(2);
  next.Say(hello, 11);
  Run();
  EXPECT_EQ(next.Count(ServerFrame::kOffer), 1U);
}

TEST_F(SessionTest, AnOfferBringsSmallPartsAlongAndNoLargeOnes) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  ASSERT_TRUE(world_.Publish(world_.Policy(1, 0, "small")).has_value());
  ASSERT_EQ(agent.Count(ServerFrame::kOffer), 1U);
  const auto& parts = agent.Last(ServerFrame::kOffer)->offer().parts();
  ASSERT_EQ(parts.size(), 1);
  EXPECT_EQ(parts[0].sha256(), Text(openssl::Sha256Of(base::AsBytes("small")).view()));
  EXPECT_EQ(parts[0].offset(), 0U);
  EXPECT_EQ(parts[0].total_bytes(), 5U);
  EXPECT_EQ(parts[0].data(), "small");
  server::rollout::Rollout restarted(world_.loop_, world_.loop_, world_.executor_, world_.executor_,
                                     *world_.store_);
  ASSERT_TRUE(restarted.Load(*world_.queries_).has_value());
  ASSERT_EQ(restarted.current()->small_parts.size(), 1U);
  EXPECT_EQ(restarted.current()->small_parts[0].content, "small");

  const std::string large(base::limits::kMaxOfferedPartsBytes + 1, 'p');
  ASSERT_TRUE(world_.Publish(world_.Policy(2, 0, large)).has_value());
  ASSERT_EQ(agent.Count(ServerFrame::kOffer), 2U);
  EXPECT_TRUE(agent.Last(ServerFrame::kOffer)->offer().parts().empty());
}

TEST_F(SessionTest, OffersANewPolicyToOneGroupAfterTheOther) {
  constexpr std::size_t kEndpoints = 2 * base::limits::kLeastOffersAtOnce + 1;
  std::vector<std::unique_ptr<ScriptedAgent>> agents;
  for (std::size_t i = 0; i < kEndpoints; ++i) {
    const auto n = static_cast<std::uint8_t>(100 + i);
    world_.Enrol(n);
    agents.push_back(std::make_unique<ScriptedAgent>(world_, n));
    agents.back()->SayHello();
    Run();
  }
  const auto offered = [&] {
    std::size_t count = 0;
    for (const auto& agent : agents) count += agent->Count(ServerFrame::kOffer);
    return count;
  };
  ASSERT_TRUE(world_.Publish(world_.Policy(1)).has_value());
  EXPECT_EQ(offered(), base::limits::kLeastOffersAtOnce);
  world_.loop_.RunFor(base::limits::kOffersPause);
  EXPECT_EQ(offered(), 2 * base::limits::kLeastOffersAtOnce);
  ASSERT_TRUE(world_.Publish(world_.Policy(2)).has_value());
  world_.loop_.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(offered(), 2 * base::limits::kLeastOffersAtOnce + kEndpoints)
      << "the newest to everybody";
}

TEST_F(SessionTest, ServesPartsInChunksAndWaitsForASlowPeer) {
  const std::string part(600'000, 'p');
  ASSERT_TRUE(world_.Publish(world_.Policy(1, 0, part)).has_value());
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  const std::string sha256 = Text(openssl::Sha256Of(base::AsBytes(part)).view());
  const auto ask = [&](const std::string& digest, std::uint64_t offset) {
    v1::AgentFrame frame;
    frame.mutable_part_request()->set_sha256(digest);
    frame.mutable_part_request()->set_offset(offset);
    agent.Deliver(frame);
    Run();
  };
  agent.mutable_line().queued = base::limits::kMaxOutboxFrames;
  ask(sha256, 0);
  EXPECT_EQ(agent.Count(ServerFrame::kPartChunk), 0U);
  agent.mutable_line().queued = 0;
  world_.loop_.RunFor(std::chrono::seconds(1));
  ASSERT_EQ(agent.Count(ServerFrame::kPartChunk), 1U);
  std::string got = agent.Last(ServerFrame::kPartChunk)->part_chunk().data();
  while (got.size() < part.size()) {
    ask(sha256, got.size());
    const v1::PartChunk& chunk = agent.Last(ServerFrame::kPartChunk)->part_chunk();
    ASSERT_EQ(chunk.offset(), got.size());
    ASSERT_EQ(chunk.total_bytes(), part.size());
    ASSERT_FALSE(chunk.data().empty());
    got += chunk.data();
  }
  EXPECT_EQ(got, part);
  ask(std::string(32, 'x'), 0);
  EXPECT_TRUE(agent.Last(ServerFrame::kPartChunk)->part_chunk().data().empty());
}

std::string ListsPart(int count, int changed) {
  model::DigestLists lists;
  for (int n = 0; n < count; ++n) lists.denied.push_back(tests::TestDigest(n));
  lists.denied.push_back(tests::TestDigest(changed));
  return Text(model::EncodeDigestLists(lists));
}

TEST_F(SessionTest, SendsWhatChangedOfTheListsToWhoHasOthers) {
  const std::string before = ListsPart(1'000, 2'000);
  const std::string after = ListsPart(1'000, 3'000);
  constexpr wire::PartKind kLists = wire::PartKind::kLists;
  ASSERT_TRUE(world_.Publish(world_.Policy(1, 0, before, kLists)).has_value());
  ASSERT_TRUE(world_.Publish(world_.Policy(2, 0, after, kLists)).has_value());
  const auto digest = [](const std::string& part) {
    return Text(openssl::Sha256Of(base::AsBytes(part)).view());
  };
  std::optional<ScriptedAgent> agent;
  const auto ask = [&](const std::string& part, const std::string& held, std::uint64_t offset) {
    v1::AgentFrame frame;
    frame.mutable_part_request()->set_sha256(digest(part));
    frame.mutable_part_request()->set_held_sha256(held);
    frame.mutable_part_request()->set_offset(offset);
    agent->Deliver(frame);
    Run();
    return agent->Last(ServerFrame::kPartChunk)->part_chunk();
  };
  const auto ask_on_new_stream = [&](const std::string& part, const std::string& held,
                                     std::uint64_t offset) {
    agent.emplace(world_, 1);
    agent->SayHello();
    Run();
    return ask(part, held, offset);
  };
  const v1::PartChunk chunk = ask_on_new_stream(after, digest(before), 0);
  EXPECT_TRUE(chunk.data().empty());
  EXPECT_EQ(chunk.total_bytes(), after.size());
  EXPECT_LT(chunk.delta().size(), 256U);
  const auto made =
      model::ApplyListsDelta(base::AsBytes(before), base::AsBytes(chunk.delta()), after.size());
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(Text(*made), after);

  for (const v1::PartChunk& whole :
       {ask(after, digest(before), 0),  // once more on one stream
        ask_on_new_stream(after, std::string(32, 'x'), 0),
        ask_on_new_stream(before, digest(after), 0), ask_on_new_stream(after, "", 0),
        ask_on_new_stream(after, digest(before), 1)}) {
    EXPECT_TRUE(whole.delta().empty());
    EXPECT_FALSE(whole.data().empty());
  }
  EXPECT_FALSE(ask_on_new_stream(after, digest(before), 0).delta().empty());
  ask(after, "no digest", 0);
  EXPECT_EQ(agent->refused(), v1::REFUSAL_REASON_PROTOCOL);
}

TEST_F(SessionTest, SendsExceptionsToWhomTheyAreForAndNewTo) {
  world_.Enrol(2);
  const auto publish = [&](std::uint64_t version, std::optional<model::Id> endpoint) {
    model::ExceptionSet set = tests::MakeExceptionSet(version, {});
    set.endpoint = endpoint;
    bool published = false;
    world_.exceptions_.Publish(store::Scope::WholeFleet(), tests::SignExceptions(set),
                               {tests::TestId(9), "ada"},
                               [&](const auto& result) { published = result.has_value(); });
    world_.loop_.RunReady();
    EXPECT_TRUE(published);
  };
  constexpr auto kExceptions = ServerFrame::kExceptions;
  ScriptedAgent one(world_, 1);
  ScriptedAgent two(world_, 2);
  one.SayHello();
  two.SayHello();
  world_.loop_.RunReady();
  publish(1, tests::TestId(1));
  EXPECT_EQ(one.Count(kExceptions), 1U);
  EXPECT_EQ(two.Count(kExceptions), 0U);
  publish(1, std::nullopt);
  EXPECT_EQ(one.Count(kExceptions), 2U);
  EXPECT_EQ(two.Count(kExceptions), 1U);

  ScriptedAgent again(world_, 1);
  again.SayHello();
  world_.loop_.RunReady();
  EXPECT_EQ(again.Count(kExceptions), 2U) << "it says that it has none";
  ScriptedAgent knows(world_, 1);
  v1::Hello hello = knows.Hello();
  hello.set_fleet_exceptions_version(1);
  hello.set_endpoint_exceptions_version(1);
  knows.Say(hello, 11);
  world_.loop_.RunReady();
  EXPECT_EQ(knows.Count(kExceptions), 0U);
  publish(2, tests::TestId(1));
  EXPECT_EQ(knows.Count(kExceptions), 1U);
}

TEST_F(SessionTest, ABusyServerSaysSoInsteadOfLosingBatches) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  const auto start = script_.Start();
  for (int i = 0; i < 100; ++i) agent.Send(start);
  EXPECT_EQ(agent.refused(), v1::REFUSAL_REASON_BUSY);
  EXPECT_GT(agent.Last(ServerFrame::kRefusal)->refusal().retry_after_ms(), 0);
}

TEST_F(SessionTest, StoresContactsTogetherAfterAWhile) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  EXPECT_EQ(world_.queries_->ListEndpoints(store::Scope::WholeFleet(), {})->rows.at(0).last_contact,
            std::nullopt);
  world_.loop_.RunFor(base::limits::kContactFlushDelay);
  const auto row = world_.queries_->ListEndpoints(store::Scope::WholeFleet(), {})->rows.at(0);
  EXPECT_TRUE(row.last_contact.has_value());
  EXPECT_EQ(row.machine.hostname, "laptop");
}

TEST_F(SessionTest, AnOpenStreamOnWhichNothingIsSaidIsAContactEveryFewMinutes) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  const auto stored = [&] {
    return world_.queries_->GetEndpoint(store::Scope::WholeFleet(), endpoint_, std::nullopt)
        ->last_contact;
  };
  const base::WallTime met = world_.loop_.Now();
  world_.loop_.RunFor(base::limits::kContactFlushDelay);
  EXPECT_EQ(stored(), met);
  for (int times = 1; times <= 3; ++times) {
    world_.loop_.RunFor(base::limits::kContactInterval);
    EXPECT_EQ(stored(), met + times * base::limits::kContactInterval);
  }
}

TEST_F(SessionTest, TheEndOfAStreamIsAContact) {
  ScriptedAgent agent(world_, 1);
  agent.SayHello();
  Run();
  world_.loop_.RunFor(std::chrono::minutes(2));
  const base::WallTime ended = world_.loop_.Now();
  agent.Close();
  world_.loop_.RunFor(std::chrono::hours(1));
  EXPECT_EQ(world_.queries_->GetEndpoint(store::Scope::WholeFleet(), endpoint_, std::nullopt)
                ->last_contact,
            ended);

  // One that is refused ends with the refusal, not with the farewell.
  ScriptedAgent next(world_, 1);
  next.SayHello();
  Run();
  world_.loop_.RunFor(std::chrono::minutes(3));
  const base::WallTime refused = world_.loop_.Now();
  v1::Hello other = next.Hello();  // a second hello on one stream
  other.set_policy_line("other");
  next.Say(other, 11);
  ASSERT_EQ(next.refused(), v1::REFUSAL_REASON_PROTOCOL);
  world_.loop_.RunFor(std::chrono::hours(1));
  EXPECT_EQ(world_.queries_->GetEndpoint(store::Scope::WholeFleet(), endpoint_, std::nullopt)
                ->last_contact,
            refused);
}

}  // namespace
}  // namespace weighmaster::server::fleet
