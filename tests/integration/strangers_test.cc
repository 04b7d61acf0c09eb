// Connections whose peer has not shown who it is, over loopback and real TLS.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "server/rpc/server.h"
#include "tests/integration/both_ports.h"
#include "tests/integration/fake_fleet.h"
#include "tests/support/live_loop.h"
#include "tests/support/log_file.h"
#include "tests/support/pki.h"

namespace weighmaster::tests {
namespace {

using server::rpc::CutReason;
using server::rpc::Doorkeeper;

constexpr std::chrono::seconds kPatience{20};
constexpr const char* kEnrol = "/weighmaster.v1.AgentService/Enrol";
constexpr const char* kSync = "/weighmaster.v1.AgentService/Sync";

// A call that sends so many bytes as its only message, or none, and never ends its side.
class UnfinishedCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  UnfinishedCall(const std::shared_ptr<grpc::Channel>& channel, const char* method,
                 std::size_t bytes)
      : stub_(channel) {
    const grpc::Slice slice(std::string(bytes, 'x'));
    out_ = grpc::ByteBuffer(&slice, 1);
    stub_.PrepareBidiStreamingCall(&context_, method, {}, this);
    if (bytes > 0) StartWrite(&out_);
    AddHold();  // it does not end for having nothing to do
    StartRead(&in_);
    StartCall();
  }
  ~UnfinishedCall() override {
    context_.TryCancel();
    RemoveHold();
    ended_.get_future().wait();
  }
  UnfinishedCall(const UnfinishedCall&) = delete;
  UnfinishedCall& operator=(const UnfinishedCall&) = delete;

  void OnReadDone(bool ok) override {
    if (ok) {
      ++answers_;
      return StartRead(&in_);
    }
    over_ = true;
  }
  void OnDone(const grpc::Status& /*status*/) override { ended_.set_value(); }

  int answers() const { return answers_; }
  bool over() const { return over_; }

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer out_;
  grpc::ByteBuffer in_;
  std::atomic<int> answers_ = 0;
  std::atomic<bool> over_ = false;
  std::promise<void> ended_;
};

class StrangersTest : public testing::Test {
 protected:
  ~StrangersTest() override {
    if (server_ != nullptr) server_->Stop();
  }

  void Serve(const Doorkeeper::Limits& limits,
             std::chrono::milliseconds idle_time = std::chrono::hours(1)) {
    const Identity identity = pki_.ServerIdentity();
    server_ = Must(
        server::rpc::Server::Start({"127.0.0.1:0", identity.certificate_pem,
                                    identity.private_key_pem, pki_.ca_pem(), limits, idle_time},
                                   loop_, clock_, fleet_, nullptr));
  }
  std::shared_ptr<grpc::Channel> Connect(const Identity& identity = {}) const {
    const grpc::SslCredentialsOptions tls{pki_.ca_pem(), identity.private_key_pem,
                                          identity.certificate_pem};
    auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                                       grpc::SslCredentials(tls));
    EXPECT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() + kPatience));
    return channel;
  }
  bool WaitUntil(const std::function<bool()>& done) {
    return loop_.RunUntil([&] {
      loop_.Post([] {});  // asks again
      return done();
    });
  }
  std::uint64_t cut(CutReason reason) const {
    return server_->counts().cut[static_cast<std::size_t>(reason)];
  }

  LiveLoop loop_;
  SystemClock clock_;
  const Pki pki_{clock_};
  FakeFleet fleet_{loop_, pki_, clock_};
  std::unique_ptr<server::rpc::Server> server_;
};

TEST_F(StrangersTest, AreCutOffWhenTheirRequestDoesNotCome) {
  const LogFile log;
  Serve({.time = std::chrono::seconds(1)});
  const UnfinishedCall call(Connect(), kEnrol, 0);
  EXPECT_TRUE(WaitUntil([&] { return call.over(); }));
  EXPECT_GE(cut(CutReason::kTooSlow), 1U);
  EXPECT_TRUE(WaitUntil([&] {
    return log.Has("warning rpc: 127.0.0.1 was cut off: it did not show in time who it is");
  })) << log.Text();
}

TEST_F(StrangersTest, AreCutOffWhenTheirRequestIsLongerThanAnyoneReads) {
  Serve({});
  const UnfinishedCall call(Connect(), kEnrol, 8 * base::limits::kMaxStrangerBytes);
  EXPECT_TRUE(WaitUntil([&] { return call.over(); }));
  EXPECT_GE(cut(CutReason::kTooMuch), 1U);
}

TEST_F(StrangersTest, AreNotThoseWhoseStreamWasAccepted) {
  Serve({});
  const UnfinishedCall stream(Connect(pki_.ClientIdentity({{1}})), kSync, 0);
  ASSERT_TRUE(WaitUntil([&] { return stream.answers() > 0; }));  // the challenge
  EXPECT_EQ(server_->counts().strangers, 0U);
  EXPECT_FALSE(stream.over());
}

TEST_F(StrangersTest, AreThoseWhoseCertificateIsForeign) {
  Serve({});
  const auto channel = Connect(Pki(clock_).ClientIdentity({{1}}));
  const UnfinishedCall stream(channel, kSync, 0);
  ASSERT_TRUE(WaitUntil([&] { return stream.over(); }));
  EXPECT_EQ(server_->counts().strangers, 1U);
}

TEST_F(StrangersTest, AreForgottenWhenTheyGo) {
  Serve({});
  auto channel = Connect();
  EXPECT_EQ(server_->counts().strangers, 1U);
  channel.reset();
  EXPECT_TRUE(WaitUntil([&] { return server_->counts().strangers == 0; }));
}

TEST_F(StrangersTest, HaveTheirConnectionClosedWhenNothingIsCalled) {
  Serve({}, std::chrono::milliseconds(100));
  const auto channel = Connect();
  EXPECT_TRUE(channel->WaitForStateChange(GRPC_CHANNEL_READY,
                                          std::chrono::system_clock::now() + kPatience));
}

TEST_F(StrangersTest, MeetNoServerWhoseKeyIsNotItsCertificates) {
  const auto started =
      server::rpc::Server::Start({"127.0.0.1:0", pki_.ServerIdentity().certificate_pem,
                                  pki_.ServerIdentity().private_key_pem, pki_.ca_pem()},
                                 loop_, clock_, fleet_, nullptr);
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message().find("not usable"), std::string::npos);
}

TEST(StrangersToTheAdministrativeApi, AreThoseWithoutAGoodToken) {
  BothPorts ports;
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ports.api_.ca_pem_;
  const auto channel = grpc::CreateChannel(ports.rpc_address(), grpc::SslCredentials(tls));
  grpc::GenericStub stub(channel);
  const auto ask = [&](const std::string& bearer) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", bearer);
    const grpc::Slice nothing;
    const grpc::ByteBuffer empty(&nothing, 1);
    grpc::ByteBuffer out;
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, "/weighmaster.v1.AdminService/WhoAmI", {}, &empty, &out,
                   [&](const grpc::Status& status) { done.set_value(status); });
    return done.get_future().get();
  };
  ports.Beside([&] {
    EXPECT_EQ(ask("Bearer nonsense").error_code(), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(ports.rpc_->counts().strangers, 1U);
    EXPECT_TRUE(ask(ports.api_.bearer_).ok());
    EXPECT_EQ(ports.rpc_->counts().strangers, 0U);
  });
}

}  // namespace
}  // namespace weighmaster::tests
