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
#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "server/api/admin_api.h"
#include "server/api/audit_log.h"
#include "server/api/dispatch.h"
#include "server/fleet/fleet.h"
#include "server/identity/administrators.h"
#include "server/identity/authority.h"
#include "server/ingest/ingest.h"
#include "server/rollout/rollout.h"
#include "server/rpc/server.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/support/live_loop.h"
#include "tests/support/temp_folder.h"
#include "third_party/asio/thread_pool.h"
#include "third_party/openssl/certificate.h"
#include "third_party/openssl/random.h"
#include "weighmaster/v1/admin.grpc.pb.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::tests {
namespace {

namespace api = server::api;
namespace limits = base::limits;
namespace identity = server::identity;
namespace rpc = server::rpc;
namespace store = server::store;

template <typename T>
T Must(base::Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().ToString();
  WM_CHECK(result.has_value());
  return std::move(result).value();
}

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
    WM_CHECK(identity::CreateFleet(folder_ / "fleet", {{"localhost"}, {"127.0.0.1"}, clock_.Now()},
                                   random_));
    identity::FleetFiles files = Must(identity::LoadFleet(folder_ / "fleet"));
    WM_CHECK(store_->AdoptFleet(files.root.fleet_id, model::Id{{1}}, 1, files.signed_root));
    const auto token =
        identity::MakeAdminToken("ada", store::AdminRole::kAdmin, clock_.Now(), {}, random_);
    WM_CHECK(store_->AddAdminToken(token.record));
    authorization_ = "Bearer " + token.text;
    WM_CHECK(rollout_.Load(*queries_));
    ca_pem_ = files.ca_pem;
    const openssl::PrivateKey acknowledger = files.ack_key;
    const rpc::Server::Options options{"127.0.0.1:0", files.tls_pem, files.tls_key_pem, ca_pem_};
    // The port is known only once the server listens; Enrol puts it into the token.
    authority_.emplace(loop_, clock_, random_, std::move(files), "127.0.0.1:1", writer_, *store_,
                       reader_, *queries_);
    acknowledger_.emplace(acknowledger);
    fleet_.emplace(server::fleet::Services{loop_, clock_, random_, ingest_, rollout_, reader_,
                                           *queries_, lists_deltas_, writer_, *store_,
                                           *acknowledger_, model::Id{{1}}});
    admin_.emplace(loop_, *authority_, administrators_, *fleet_, rollout_, reader_, *queries_,
                   "test");
    dispatch_.emplace(clock_, administrators_, audit_, *admin_);
    agents_ = rpc::MakeAgentCalls(*authority_, *fleet_);
    server_ = Must(rpc::Server::Start(options, loop_, clock_, *agents_, &*dispatch_));
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ca_pem_;
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
      const api::Method& method = dispatch_->MethodFor(*v1::Publication::descriptor());
      dispatch_->Admit(method, authorization_, [&](const auto& admission) {
        // Asked too often is neither.
        is_so = publishing ? !admission.has_value() && admission.error().message().starts_with(
                                                           "another policy is being published")
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

  TempFolder folder_;
  LiveLoop loop_;
  SystemClock clock_;
  openssl::SystemRandom random_;
  const std::unique_ptr<store::SqliteStore> store_ =
      Must(store::SqliteStore::Open(folder_ / "store.db"));
  const std::unique_ptr<store::Queries> queries_ = Must(store_->OpenQueries());
  server::rollout::ListsDeltas lists_deltas_{*queries_};
  ThreadExecutor diagnoses_;
  asio::ThreadPool pool_{1, "verify"};
  asio::ThreadPool writer_{1, "store"};
  asio::ThreadPool reader_{1, "queries"};
  server::ingest::Ingest ingest_{loop_, clock_, random_, pool_, writer_, *store_};
  server::rollout::Rollout rollout_{loop_, clock_, pool_, writer_, *store_};
  std::string ca_pem_;
  std::string authorization_;
  std::optional<identity::Authority> authority_;
  std::optional<openssl::PrivateKey> acknowledger_;
  std::optional<server::fleet::Fleet> fleet_;
  identity::Administrators administrators_{loop_,   clock_,  random_,  writer_,
                                           *store_, reader_, *queries_};
  std::optional<api::AdminApi> admin_;
  api::AuditLog audit_{loop_, clock_, writer_, *store_};
  std::optional<api::Dispatch> dispatch_;
  std::unique_ptr<rpc::AgentCalls> agents_;
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
  EXPECT_EQ(too_long.error_message(), "a publication has at most 128 MiB");
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
  EXPECT_NE(status.error_message().find("being published"), std::string::npos);
  Beside([&] {
    context.TryCancel();
    writer->Finish();
  });
  ASSERT_TRUE(RunUntilPublishing(false));
  EXPECT_EQ(Publish(1).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
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
