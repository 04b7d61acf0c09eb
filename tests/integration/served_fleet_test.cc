// The server's own rooms behind its port: identity, fleet and the administrative API on SQLite.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "agent/sync/grpc/connector.h"
#include "agent/sync/grpc/enrolment_client.h"
#include "policy/base/limits.h"
#include "server/rpc/server.h"
#include "tests/integration/served_api.h"
#include "tests/support/live_loop.h"
#include "third_party/openssl/certificate.h"
#include "weighmaster/v1/admin.grpc.pb.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::tests {
namespace {

namespace limits = base::limits;
namespace rpc = server::rpc;

class NoFrames final : public wire::AgentListener {
 public:
  void OnFrame(const v1::ServerFrame& frame) override { challenged |= frame.has_challenge(); }
  void OnClosed(const base::Error& why) override { closed = why; }
  bool challenged = false;
  std::optional<base::Error> closed;
};

class ServedFleetTest : public testing::Test {
 protected:
  ServedFleetTest() {
    const rpc::Server::Options options{"127.0.0.1:0", api_.tls_pem_, api_.tls_key_pem_,
                                       api_.ca_pem_};
    server_ = Must(rpc::Server::Start(options, loop_, clock_, *agents_, &*api_.dispatch_));
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = api_.ca_pem_;
    stub_ = v1::AdminService::NewStub(grpc::CreateChannel(address(), grpc::SslCredentials(tls)));
  }
  ~ServedFleetTest() override { server_->Stop(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  // Clients block, so they run beside the loop.
  void Beside(const std::function<void()>& call) {
    bool done = false;
    std::thread thread([&] {
      call();
      loop_.Post([&] { done = true; });
    });
    EXPECT_TRUE(loop_.RunUntil([&] { return done; }, std::chrono::minutes(1)));
    thread.join();
  }

  template <typename Request, typename Response>
  grpc::Status Ask(grpc::Status (v1::AdminService::Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                   const Request& request, Response& response) {
    grpc::Status status;
    Beside([&] {
      grpc::ClientContext context;
      if (!authorization_.empty()) context.AddMetadata("authorization", authorization_);
      status = ((*stub_).*method)(&context, request, &response);
    });
    return status;
  }

  // Zeros, which are no publication.
  grpc::Status Publish(std::size_t bytes, std::size_t* sent = nullptr) {
    grpc::Status status;
    Beside([&] {
      grpc::ClientContext context;
      context.AddMetadata("authorization", authorization_);
      v1::PublishPolicyResponse response;
      const auto writer = stub_->PublishPolicy(&context, &response);
      v1::PublishPolicyRequest request;
      while (bytes > 0) {
        const std::size_t next = std::min(bytes, limits::kPublicationChunkBytes);
        request.set_chunk(std::string(next, '\0'));
        if (!writer->Write(request)) break;
        bytes -= next;
        if (sent != nullptr) *sent += next;
      }
      writer->WritesDone();
      status = writer->Finish();
    });
    return status;
  }
  // Until somebody is publishing, or nobody.
  bool RunUntilPublishing(bool publishing) {
    return loop_.RunUntil([&] {
      bool answered = false;
      bool is_so = false;
      const server::api::Method& method = api_.dispatch_->MethodFor(*v1::Publication::descriptor());
      api_.dispatch_->Admit(method, authorization_, [&](const auto& admission) {
        // Asked too often is neither.
        is_so = publishing
                    ? !admission.has_value() &&
                          admission.error().message().starts_with("somebody else's PublishPolicy")
                    : admission.has_value();
        answered = true;
      });
      loop_.RunUntil([&] { return answered; });
      return is_so;
    });
  }

  agent::sync::Enrolment Enrol(const openssl::PrivateKey& key) {
    v1::CreateTokenRequest request;
    request.set_uses(1);
    request.set_valid_for_ms(60'000);
    v1::CreateTokenResponse response;
    const grpc::Status status = Ask(&v1::AdminService::Stub::CreateToken, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    wire::EnrolmentToken token = Must(wire::ParseToken(response.token()));
    token.address = address();
    const base::Bytes signing_request = Must(openssl::MakeSigningRequest(key, "endpoint"));
    std::optional<base::Result<agent::sync::Enrolment>> enrolment;
    Beside([&] {
      enrolment = agent::sync::GrpcEnrolmentClient(clock_).Enrol(token, signing_request,
                                                                 v1::MachineFacts());
    });
    return Must(*std::move(enrolment));
  }

  LiveLoop loop_;
  SystemClock clock_;
  ServedApi api_{loop_};
  std::string authorization_ = api_.bearer_;
  ThreadExecutor diagnoses_;
  const std::unique_ptr<rpc::AgentCalls> agents_ =
      rpc::MakeAgentCalls(*api_.authority_, *api_.fleet_);
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<v1::AdminService::Stub> stub_;
};

TEST_F(ServedFleetTest, AnswersAnAdministratorAndNobodyElse) {
  v1::GetFleetResponse response;
  grpc::Status status = Ask(&v1::AdminService::Stub::GetFleet, v1::GetFleetRequest(), response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_FALSE(response.fleet_id().empty());

  response.Clear();
  for (const std::string& other : {std::string(), std::string("Bearer wma1.AAAA"),
                                   authorization_.substr(0, authorization_.size() - 1)}) {
    authorization_ = other;
    status = Ask(&v1::AdminService::Stub::GetFleet, v1::GetFleetRequest(), response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << other;
    EXPECT_TRUE(response.fleet_id().empty());
  }
}

TEST_F(ServedFleetTest, PassesTheCodeOfAnErrorOn) {
  v1::RevokeEndpointRequest request;
  request.set_endpoint_id("not an id");
  v1::RevokeEndpointResponse response;
  const grpc::Status status = Ask(&v1::AdminService::Stub::RevokeEndpoint, request, response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_FALSE(status.error_message().empty());
}

TEST_F(ServedFleetTest, ReadsNoLongRequestOfAnybody) {
  v1::RevokeEndpointRequest request;
  request.set_reason(std::string(limits::kMaxAdminRequestBytes + 1, 'x'));
  v1::RevokeEndpointResponse response;
  const auto revoke = &v1::AdminService::Stub::RevokeEndpoint;
  EXPECT_EQ(Ask(revoke, request, response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_reason(std::string(limits::kMaxFrameBytes + 1, 'x'));
  EXPECT_EQ(Ask(revoke, request, response).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ServedFleetTest, TakesAPublicationInPiecesUpToItsLimit) {
  // What it holds is refused only once all of it was read.
  EXPECT_EQ(Publish(limits::kMaxBundleBytes).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const grpc::Status too_long = Publish(limits::kMaxBundleBytes + 1);
  EXPECT_EQ(too_long.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(too_long.error_message(), "such a request has at most 128 MiB");
}

TEST_F(ServedFleetTest, ReadsNothingOfAPublicationBeforeItKnowsWhoPublishes) {
  authorization_ = "Bearer wma1.AAAA";
  std::size_t sent = 0;
  EXPECT_EQ(Publish(limits::kMaxBundleBytes, &sent).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_LT(sent, limits::kMaxBundleBytes);
}

TEST_F(ServedFleetTest, TakesOnePublicationAtATimeAndForgetsTheOneThatIsGivenUp) {
  // The first piece of a publication whose publisher then says nothing more.
  grpc::ClientContext context;
  context.AddMetadata("authorization", authorization_);
  v1::PublishPolicyResponse response;
  std::unique_ptr<grpc::ClientWriter<v1::PublishPolicyRequest>> writer;
  grpc::Status status;
  Beside([&] { writer = stub_->PublishPolicy(&context, &response); });
  ASSERT_TRUE(RunUntilPublishing(true));
  status = Publish(1);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(status.error_message().find("under way"), std::string::npos);
  Beside([&] {
    context.TryCancel();
    writer->Finish();
  });
  ASSERT_TRUE(RunUntilPublishing(false));
  EXPECT_EQ(Publish(1).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServedFleetTest, GivesUpAPublicationThatTakesFiveMinutesAndCountsItAsACall) {
  grpc::ClientContext context;
  context.AddMetadata("authorization", authorization_);
  v1::PublishPolicyResponse response;
  std::unique_ptr<grpc::ClientWriter<v1::PublishPolicyRequest>> writer;
  grpc::Status status;
  Beside([&] { writer = stub_->PublishPolicy(&context, &response); });
  ASSERT_TRUE(RunUntilPublishing(true));
  loop_.Skip(limits::kMaxPublicationTime);
  Beside([&] { status = writer->Finish(); });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(status.error_message(), "the request took over five minutes");
  const auto& counts = api_.dispatch_->call_counts();
  const auto late = counts.find({"PublishPolicy", base::ErrorCode::kAborted});
  ASSERT_NE(late, counts.end());
  EXPECT_EQ(late->second, 1U);
  EXPECT_TRUE(RunUntilPublishing(false)) << "there is room for the next";
}

TEST_F(ServedFleetTest, EnrolsAnEndpointChallengesItsStreamAndTurnsItAwayOnceRevoked) {
  const openssl::PrivateKey key = Must(openssl::PrivateKey::Generate());
  const agent::sync::Enrolment enrolment = Enrol(key);
  agent::sync::GrpcConnector connector(loop_, diagnoses_, clock_, [&] {
    return agent::sync::ConnectorOptions{address(), enrolment.ca_pem, enrolment.certificate_pem,
                                         key.ToPem()};
  });
  NoFrames before;
  auto channel = connector.Connect(before);
  EXPECT_TRUE(loop_.RunUntil([&] { return before.challenged; }));

  v1::RevokeEndpointRequest request;
  request.set_endpoint_id(enrolment.endpoint_id.ToHex());
  v1::RevokeEndpointResponse response;
  const grpc::Status status = Ask(&v1::AdminService::Stub::RevokeEndpoint, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  channel.reset();

  NoFrames after;
  channel = connector.Connect(after);
  ASSERT_TRUE(loop_.RunUntil([&] { return after.closed.has_value(); }));
  EXPECT_EQ(after.closed->code(), base::ErrorCode::kPermissionDenied);
  EXPECT_FALSE(after.challenged);
  channel.reset();
}

}  // namespace
}  // namespace weighmaster::tests
