// Requests that are no messages: who sends one is told so, and it is a call like any other.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <future>
#include <memory>
#include <string>

#include "server/rpc/server.h"
#include "tests/integration/both_ports.h"
#include "tests/integration/fake_fleet.h"
#include "tests/support/live_loop.h"
#include "tests/support/log_file.h"
#include "tests/support/pki.h"

namespace weighmaster::tests {
namespace {

using server::api::Method;

// A field that is longer than what is there.
constexpr const char* kCutShort = "\x0a\x05x";
// Where field 3 is a text: bytes that are none.
constexpr const char* kNoUtf8 = "\x1a\x04\xff\xfe\xfd\xfc";
const std::string kAdmin = "/weighmaster.v1.AdminService/";

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const std::string& request, const std::string& bearer = "") {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  if (!bearer.empty()) context.AddMetadata("authorization", bearer);
  const grpc::ByteBuffer in = BufferOf(request);
  grpc::ByteBuffer out;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, method, {}, &in, &out,
                 [&](const grpc::Status& status) { done.set_value(status); });
  return done.get_future().get();
}

class MalformedAdminCalls : public testing::Test {
 protected:
  grpc::Status Ask(const std::string& method, const std::string& request,
                   const std::string& bearer) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ports_.api_.ca_pem_;
    return Call(grpc::CreateChannel(ports_.rpc_address(), grpc::SslCredentials(tls)),
                kAdmin + method, request, bearer);
  }
  std::uint64_t CountOf(const std::string& method, base::ErrorCode code) const {
    const auto& counts = ports_.api_.dispatch_->call_counts();
    const auto found = counts.find({method, code});
    return found == counts.end() ? 0 : found->second;
  }

  BothPorts ports_;
};

TEST_F(MalformedAdminCalls, AreInvalidArgumentsWithASentenceAndAreCounted) {
  ports_.Beside([&] {
    for (const Method& method : ports_.api_.dispatch_->methods()) {
      const grpc::Status status = Ask(method.name, kCutShort, ports_.api_.bearer_);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << method.name;
      EXPECT_NE(status.error_message().find("can't be parsed"), std::string::npos) << method.name;
    }
    const grpc::Status status = Ask("ListEndpoints", kNoUtf8, ports_.api_.bearer_);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_NE(status.error_message().find("not UTF-8"), std::string::npos);
  });
  for (const Method& method : ports_.api_.dispatch_->methods()) {
    EXPECT_EQ(CountOf(method.name, base::ErrorCode::kInvalidArgument),
              method.name == "ListEndpoints" ? 2U : 1U)
        << method.name;
  }
}

TEST_F(MalformedAdminCalls, AreNotReadForNobody) {
  const LogFile log;
  ports_.Beside([&] {
    for (const Method& method : ports_.api_.dispatch_->methods()) {
      EXPECT_EQ(Ask(method.name, kCutShort, "").error_code(), grpc::StatusCode::UNAUTHENTICATED)
          << method.name;
    }
  });
  EXPECT_EQ(CountOf("ListEndpoints", base::ErrorCode::kUnauthenticated), 1U);
  EXPECT_TRUE(log.Has("warning rpc: 127.0.0.1 was refused: an administrator's token is needed"))
      << log.Text();
}

// Sends one message on a stream and keeps how that ends.
class OneMessage final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  OneMessage(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
             const std::string& bytes)
      : stub_(channel), out_(BufferOf(bytes)) {
    stub_.PrepareBidiStreamingCall(&context_, method, {}, this);
    StartWrite(&out_);
    StartRead(&in_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (ok) StartRead(&in_);
  }
  void OnDone(const grpc::Status& status) override { done_.set_value(status); }
  std::future<grpc::Status> Ended() { return done_.get_future(); }

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const grpc::ByteBuffer out_;
  grpc::ByteBuffer in_;
  std::promise<grpc::Status> done_;
};

class MalformedAgentCalls : public testing::Test {
 protected:
  MalformedAgentCalls() {
    const Identity identity = pki_.ServerIdentity();
    server_ = Must(server::rpc::Server::Start(
        {"127.0.0.1:0", identity.certificate_pem, identity.private_key_pem, pki_.ca_pem()}, loop_,
        clock_, fleet_, nullptr));
    const Identity client = pki_.ClientIdentity({{1, 2, 3}});
    channel_ = grpc::CreateChannel(
        "127.0.0.1:" + std::to_string(server_->port()),
        grpc::SslCredentials({pki_.ca_pem(), client.private_key_pem, client.certificate_pem}));
  }
  ~MalformedAgentCalls() override { server_->Stop(); }

  grpc::Status Await(std::future<grpc::Status> status) {
    EXPECT_TRUE(loop_.RunUntil(
        [&] { return status.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    return status.get();
  }

  LiveLoop loop_;
  SystemClock clock_;
  const Pki pki_{clock_};
  FakeFleet fleet_{loop_, pki_, clock_};
  std::unique_ptr<server::rpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(MalformedAgentCalls, AreInvalidArgumentsWithASentence) {
  for (const char* const method : {"Enrol", "Renew"}) {
    const grpc::Status status = Await(std::async(std::launch::async, [&] {
      return Call(channel_, std::string("/weighmaster.v1.AgentService/") + method, kCutShort);
    }));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << method;
    EXPECT_NE(status.error_message().find("can't be parsed"), std::string::npos) << method;
  }
}

TEST_F(MalformedAgentCalls, EndTheStreamThatHasSuchAFrame) {
  OneMessage message(channel_, "/weighmaster.v1.AgentService/Sync", kCutShort);
  EXPECT_FALSE(Await(message.Ended()).ok());  // the sentence may be lost behind the challenge
  const auto& sessions = fleet_.sessions();
  ASSERT_EQ(sessions.size(), 1U);
  ASSERT_TRUE(loop_.RunUntil([&] { return sessions[0]->closed().has_value(); }));
  EXPECT_EQ(sessions[0]->closed()->code(), base::ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace weighmaster::tests
