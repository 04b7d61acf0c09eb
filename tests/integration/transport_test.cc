// The agent's connector and the server's port, over loopback and real TLS.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/sync/grpc/connector.h"
#include "policy/base/limits.h"
#include "server/rpc/server.h"
#include "tests/integration/fake_fleet.h"
#include "tests/integration/plain_server.h"
#include "tests/support/live_loop.h"
#include "tests/support/log_file.h"
#include "tests/support/pki.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::tests {
namespace {

using agent::sync::ConnectorOptions;
using agent::sync::GrpcConnector;
namespace limits = base::limits;

constexpr std::chrono::hours kDay{24};

// A stream at the agent: keeps what it hears.
class AgentSession final : public wire::AgentListener {
 public:
  void OnFrame(const v1::ServerFrame& frame) override {
    frames.push_back(frame);
    if (on_frame) on_frame();
  }
  void OnClosed(const base::Error& why) override { closed = why; }

  void Ask(std::uint64_t offset, std::size_t size_bytes = 0) const {
    v1::AgentFrame frame;
    frame.mutable_part_request()->set_offset(offset);
    frame.mutable_part_request()->set_sha256(std::string(size_bytes, 'x'));
    channel->Send(frame);
  }

  std::unique_ptr<wire::AgentChannel> channel;
  std::vector<v1::ServerFrame> frames;
  std::optional<base::Error> closed;
  std::function<void()> on_frame;
};

class TransportTest : public testing::Test {
 protected:
  ~TransportTest() override {
    if (server_ != nullptr) server_->Stop();
  }

  void Serve(const Identity& identity) {
    auto server = server::rpc::Server::Start(
        {"127.0.0.1:0", identity.certificate_pem, identity.private_key_pem, pki_.ca_pem()}, loop_,
        clock_, fleet_, nullptr);
    ASSERT_TRUE(server) << server.error().ToString();
    server_ = std::move(server).value();
  }
  void Serve() { Serve(pki_.ServerIdentity()); }

  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  ConnectorOptions OptionsFor(const Identity& identity, const std::string& address) const {
    return {address, pki_.ca_pem(), identity.certificate_pem, identity.private_key_pem};
  }
  ConnectorOptions Options() const { return OptionsFor(client_, address()); }

  std::unique_ptr<GrpcConnector> MakeConnector(const ConnectorOptions& options) {
    return std::make_unique<GrpcConnector>(loop_, executor_, clock_, [options] { return options; });
  }

  void Open(AgentSession& session, GrpcConnector& connector) {
    session.channel = connector.Connect(session);
    ASSERT_TRUE(loop_.RunUntil([&] { return !session.frames.empty() || session.closed; }));
    ASSERT_FALSE(session.closed.has_value()) << session.closed->ToString();
  }

  // Connects, and returns why it ended.
  base::Error FailureOf(const ConnectorOptions& options) {
    const auto connector = MakeConnector(options);
    AgentSession session;
    session.channel = connector->Connect(session);
    const bool ended = loop_.RunUntil([&] { return session.closed.has_value(); });
    EXPECT_TRUE(ended);
    EXPECT_TRUE(session.frames.empty());
    session.channel.reset();
    return session.closed.value_or(base::Internal("nothing happened"));
  }

  static void ExpectOneLine(const base::Error& error, std::string_view part) {
    EXPECT_NE(error.message().find(part), std::string::npos) << error.ToString();
    EXPECT_EQ(error.message().find('\n'), std::string::npos) << error.ToString();
  }

  LiveLoop loop_;
  SystemClock clock_;
  const Pki pki_{clock_};
  const model::Id endpoint_{{1, 2, 3}};
  const Identity client_ = pki_.ClientIdentity(endpoint_);
  FakeFleet fleet_{loop_, pki_, clock_};
  ThreadExecutor executor_;
  std::unique_ptr<server::rpc::Server> server_;
};

TEST_F(TransportTest, CarriesFramesBothWaysInOrder) {
  Serve();
  const auto connector = MakeConnector(Options());
  AgentSession session;
  Open(session, *connector);
  EXPECT_TRUE(session.frames[0].has_challenge());
  constexpr std::uint64_t kFrames = 50;
  for (std::uint64_t i = 0; i < kFrames; ++i) session.Ask(i);
  ASSERT_TRUE(loop_.RunUntil([&] { return session.frames.size() == kFrames + 1; }));
  for (std::uint64_t i = 0; i < kFrames; ++i) {
    EXPECT_EQ(session.frames[i + 1].part_chunk().offset(), i);
  }
  EXPECT_EQ(fleet_.sessions().at(0)->endpoint(), endpoint_);
}

TEST_F(TransportTest, TellsTheServerThatTheAgentHasGone) {
  Serve();
  const auto connector = MakeConnector(Options());
  AgentSession session;
  Open(session, *connector);
  session.channel.reset();
  EchoSession& at_server = *fleet_.sessions().at(0);
  EXPECT_TRUE(loop_.RunUntil([&] { return at_server.closed().has_value(); }));
  EXPECT_FALSE(session.closed.has_value()) << "the one who hangs up hears nothing";
}

TEST_F(TransportTest, TakesALargeFrameAndRefusesATooLargeOne) {
  Serve();
  const auto connector = MakeConnector(Options());
  AgentSession session;
  Open(session, *connector);
  session.Ask(1, limits::kMaxBatchBytes);
  ASSERT_TRUE(loop_.RunUntil([&] { return session.frames.size() == 2; }));
  session.Ask(2, limits::kMaxFrameBytes + 1);
  ASSERT_TRUE(loop_.RunUntil([&] { return session.closed.has_value(); }));
  EXPECT_EQ(session.closed->code(), base::ErrorCode::kResourceExhausted);
}

TEST_F(TransportTest, RefusesToStartASecondServerOnThePort) {
  Serve();
  const Identity identity = pki_.ServerIdentity();
  const auto second = server::rpc::Server::Start(
      {address(), identity.certificate_pem, identity.private_key_pem, pki_.ca_pem()}, loop_, clock_,
      fleet_, nullptr);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), base::ErrorCode::kAlreadyExists);
  ExpectOneLine(second.error(), "in use");
}

TEST_F(TransportTest, SaysThatNobodyListens) {
  Serve();
  const ConnectorOptions options = Options();
  server_->Stop();
  server_.reset();
  ExpectOneLine(FailureOf(options), "refused");
}

TEST_F(TransportTest, SaysThatTheNameIsNotKnown) {
  const base::Error error = FailureOf(OptionsFor(client_, "no-such-host.invalid:443"));
  ExpectOneLine(error, "no-such-host.invalid");
}

TEST_F(TransportTest, SaysThatGarbageIsNotTls) {
  const PlainServer garbage(std::string("\x00\xff\x13\x37 garbage", 12) +
                            std::string(4'096, '\x9c'));
  const base::Error error = FailureOf(OptionsFor(client_, garbage.address()));
  ExpectOneLine(error, "does not speak TLS");
}

TEST_F(TransportTest, SaysThatAPlainHttpServerIsNotTls) {
  const PlainServer http("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  const base::Error error = FailureOf(OptionsFor(client_, http.address()));
  ExpectOneLine(error, "does not speak TLS");
}

TEST_F(TransportTest, SaysThatTheServerIsFromAnotherCa) {
  Serve();
  const Pki other(clock_);
  ConnectorOptions options = Options();
  options.ca_pem = other.ca_pem();
  ExpectOneLine(FailureOf(options), "CA");
}

TEST_F(TransportTest, SaysThatTheServersCertificateHasExpired) {
  Serve(pki_.ServerIdentity({-9 * kDay, -3 * kDay}));
  const base::Error error = FailureOf(Options());
  ExpectOneLine(error, address() + " is not trusted: its certificate expired 3 days ago by this");
  ExpectOneLine(error, "correct the clock if it is wrong, else renew the server's certificate");
}

TEST_F(TransportTest, SaysThatTheServersCertificateIsNotValidYet) {
  // An hour more than it says, as time passes until it is asked.
  Serve(pki_.ServerIdentity({3 * kDay + std::chrono::hours(1), 9 * kDay}));
  const base::Error error = FailureOf(Options());
  ExpectOneLine(error, address() + " is not trusted: its certificate is not yet valid");
  ExpectOneLine(error, "is at least 3 days slow");
  ExpectOneLine(error, "correct the clock of this machine, or of the server if that one is fast");
}

TEST_F(TransportTest, OpensNoStreamWithoutACertificate) {
  Serve();
  const base::Error error = FailureOf(OptionsFor({}, address()));
  EXPECT_EQ(error.code(), base::ErrorCode::kUnauthenticated);
  ExpectOneLine(error, "enrol");
}

TEST_F(TransportTest, OpensNoStreamWithAnExpiredCertificate) {
  Serve();
  const Identity expired = pki_.ClientIdentity(endpoint_, {-2 * kDay, -kDay});
  const base::Error error = FailureOf(OptionsFor(expired, address()));
  EXPECT_EQ(error.code(), base::ErrorCode::kUnauthenticated);
  ExpectOneLine(error, "renew");
}

TEST_F(TransportTest, OpensNoStreamWithAForeignCertificate) {
  const LogFile log;
  Serve();
  const Identity foreign = Pki(clock_).ClientIdentity(endpoint_);
  EXPECT_EQ(FailureOf(OptionsFor(foreign, address())).code(), base::ErrorCode::kPermissionDenied);
  EXPECT_TRUE(log.Has("warning rpc: 127.0.0.1 was refused: ")) << log.Text();
  EXPECT_TRUE(fleet_.sessions().empty());
}

TEST_F(TransportTest, OpensNoStreamForARevokedEndpoint) {
  Serve();
  fleet_.revoked = true;
  const base::Error error = FailureOf(Options());
  EXPECT_EQ(error.code(), base::ErrorCode::kPermissionDenied);
  ExpectOneLine(error, "revoked");
}

TEST_F(TransportTest, UsesARenewedCertificateAtTheNextConnect) {
  Serve();
  Identity identity = pki_.ClientIdentity(endpoint_, {-2 * kDay, -kDay});
  GrpcConnector connector(loop_, executor_, clock_,
                          [&] { return OptionsFor(identity, address()); });
  AgentSession expired;
  expired.channel = connector.Connect(expired);
  ASSERT_TRUE(loop_.RunUntil([&] { return expired.closed.has_value(); }));
  identity = client_;
  AgentSession renewed;
  Open(renewed, connector);
}

TEST_F(TransportTest, EndsTheStreamOfAnAgentThatDoesNotRead) {
  const LogFile log;
  Serve();
  const auto connector = MakeConnector(Options());
  AgentSession session;
  Open(session, *connector);
  // The agent's reads wait for the loop, and the loop is here: nothing is read meanwhile.
  EchoSession& at_server = *fleet_.sessions().at(0);
  v1::ServerFrame frame;
  frame.mutable_part_chunk()->set_data(std::string(limits::kPartChunkBytes, 'x'));
  for (std::size_t i = 0; i < 2 * limits::kMaxOutboxFrames; ++i) at_server.channel()->Send(frame);
  ASSERT_TRUE(loop_.RunUntil([&] { return at_server.closed().has_value(); }));
  EXPECT_EQ(at_server.closed()->code(), base::ErrorCode::kResourceExhausted);
  EXPECT_TRUE(loop_.RunUntil([&] { return session.closed.has_value(); }));
  EXPECT_TRUE(loop_.RunUntil([&] {
    return log.Has("warning rpc: 127.0.0.1 was cut off: the peer is too slow");
  })) << log.Text();
}

TEST_F(TransportTest, DeliversTheLastWordOfAServerThatHangsUp) {
  Serve();
  const auto connector = MakeConnector(Options());
  AgentSession session;
  Open(session, *connector);
  fleet_.sessions().at(0)->RefuseAndHangUp();
  ASSERT_TRUE(loop_.RunUntil([&] { return session.closed.has_value(); }));
  ASSERT_EQ(session.frames.size(), 2U);
  EXPECT_EQ(session.frames[1].refusal().reason(), v1::REFUSAL_REASON_REVOKED);
}

TEST_F(TransportTest, StopsAtOnceWithStreamsOpenAndTellsThem) {
  Serve();
  const auto connector = MakeConnector(Options());
  std::vector<AgentSession> sessions(10);
  for (AgentSession& session : sessions) Open(session, *connector);
  const auto before = std::chrono::steady_clock::now();
  server_->Stop(std::chrono::minutes(1));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
  for (AgentSession& session : sessions) {
    ASSERT_TRUE(loop_.RunUntil([&] { return session.closed.has_value(); }));
    EXPECT_EQ(session.closed->code(), base::ErrorCode::kUnavailable);
  }
  for (const auto& session : fleet_.sessions()) {
    EXPECT_TRUE(loop_.RunUntil([&] { return session->closed().has_value(); }));
  }
}

TEST_F(TransportTest, AnswersAgainWhenTheServerIsBackOnItsPort) {
  Serve();
  const std::string where = address();
  const auto connector = MakeConnector(Options());
  AgentSession first;
  Open(first, *connector);
  server_->Stop();
  server_.reset();
  const Identity identity = pki_.ServerIdentity();
  auto again = server::rpc::Server::Start(
      {where, identity.certificate_pem, identity.private_key_pem, pki_.ca_pem()}, loop_, clock_,
      fleet_, nullptr);
  ASSERT_TRUE(again) << again.error().ToString();
  server_ = std::move(again).value();
  AgentSession second;
  Open(second, *connector);
}

// The connector goes after n tasks of the loop, for n = 0, 1, 2 …: while it connects, while it is
// admitted, open, in the middle of an echo, and after.
TEST_F(TransportTest, MayBeDestroyedInEveryState) {
  Serve();
  constexpr int kStates = 40;
  for (int state = 0; state < kStates; ++state) {
    auto connector = MakeConnector(Options());
    AgentSession session;
    session.on_frame = [&] { session.Ask(session.frames.size()); };
    session.channel = connector->Connect(session);
    int tasks = 0;
    loop_.RunUntil([&] { return tasks++ >= state; }, std::chrono::seconds(5));
    session.channel.reset();
    if (state % 2 == 0)
      loop_.RunUntil([&] { return tasks++ >= state + 3; }, std::chrono::seconds(1));
    connector.reset();
  }
  const auto all_closed = [&] {
    for (const auto& session : fleet_.sessions()) {
      if (!session->closed()) return false;
    }
    return true;
  };
  EXPECT_TRUE(loop_.RunUntil(all_closed));
}

TEST_F(TransportTest, MayBeDestroyedWhileNobodyAnswers) {
  const PlainServer silent("");
  auto connector = MakeConnector(OptionsFor(client_, silent.address()));
  AgentSession session;
  session.channel = connector->Connect(session);
  session.Ask(1);  // waits for the connection
  ASSERT_TRUE(loop_.RunUntil([&] { return silent.connections() > 0; }));
  session.channel.reset();
  connector.reset();
  EXPECT_FALSE(session.closed.has_value());
}

TEST_F(TransportTest, MayBeStoppedWhileAgentsConnect) {
  Serve();
  fleet_.silent = true;  // they never get further than the admission
  const auto connector = MakeConnector(Options());
  std::vector<AgentSession> sessions(20);
  for (AgentSession& session : sessions) session.channel = connector->Connect(session);
  server_->Stop();
  for (AgentSession& session : sessions) {
    EXPECT_TRUE(loop_.RunUntil([&] { return session.closed.has_value(); }));
  }
}

}  // namespace
}  // namespace weighmaster::tests
