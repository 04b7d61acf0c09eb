#include "server/rpc/server.h"

#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "policy/base/check.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/agent_service.h"
#include "server/rpc/listening_sockets.h"
#include "third_party/grpc/log.h"
#include "third_party/openssl/certificate.h"

namespace weighmaster::server::rpc {

namespace {

namespace limits = base::limits;

constexpr int Milliseconds(std::chrono::milliseconds time) {
  return static_cast<int>(time.count());
}

std::shared_ptr<grpc::ServerCredentials> MakeCredentials(const Server::Options& options) {
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  tls.pem_root_certs = options.ca_pem;
  std::string chain = options.certificate_pem;
  if (!chain.ends_with('\n')) chain += '\n';
  chain += options.ca_pem;
  tls.pem_key_cert_pairs.push_back({options.private_key_pem, chain});
  return grpc::SslServerCredentials(tls);
}

// What strangers hold is at most half of it.
static_assert(limits::kMaxStrangers * limits::kMaxStrangerBytes <= limits::kTransportBytes / 2);

void SetLimits(grpc::ServerBuilder& builder, std::chrono::milliseconds idle_time) {
  // One limit for all methods is all that gRPC has, and it is looked at when a message is whole,
  // which of a unary call is before anybody is asked: strangers are held to less by the Doorkeeper,
  // enrolments and administrators' requests by their services.
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxFrameBytes));
  builder.SetMaxSendMessageSize(static_cast<int>(limits::kMaxAdminAnswerBytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits::kMaxStreamsPerConnection);
  // Else gRPC would let a fast peer send ever more of a call that nobody reads yet, and he is a
  // stranger: what is read has a window as long as its message all the same.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(limits::kKeepaliveInterval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(limits::kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // An agent pings once an interval; one that does so twice as often is sent away.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(limits::kKeepaliveInterval) / 2);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Milliseconds(limits::kConnectTimeout));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Milliseconds(idle_time));
}

std::string_view Sentence(CutReason reason) {
  switch (reason) {
    case CutReason::kTooSlow:
      return "was cut off: it did not show in time who it is";
    case CutReason::kTooMuch:
      return "was cut off: it sent too much without showing who it is";
    case CutReason::kCrowded:
      return "was cut off: too many connections of its address do not show who they are";
  }
  return "";
}

// Strangers leave most descriptors to those who are known, also where there are few.
Doorkeeper::Limits FewEnough(Doorkeeper::Limits limits) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    const auto most = static_cast<std::size_t>(files.rlim_cur / base::limits::kFilesPerStranger);
    limits.most = std::min(limits.most, std::max<std::size_t>(most, 4));
    limits.most_of_address = std::min(limits.most_of_address, limits.most / 4);
  }
  return limits;
}

class GrpcServer final : public Server {
 public:
  GrpcServer(base::Loop& loop, const base::Clock& clock, AgentCalls& agents, api::Dispatch* admin)
      : loop_(loop),
        clock_(clock),
        agents_(loop, clock, agents, quota_, [this](const std::string& peer) { Know(peer); }) {
    if (admin == nullptr) return;
    admin_.emplace(loop, clock, *admin, [this](const std::string& peer) { Know(peer); });
  }
  ~GrpcServer() override { Shutdown(std::chrono::milliseconds(0)); }
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  base::Status Listen(const Options& options) {
    grpc_adapter::TakeOverLog();
    // gRPC does not say so where connections are handed to it.
    if (!openssl::IsKeyOf(options.certificate_pem, options.private_key_pem)) {
      return base::FailedPrecondition("the TLS certificate or its key is not usable");
    }
    WM_ASSIGN_OR_RETURN(ListeningSockets listeners, ListenOn(options.address));
    port_ = listeners.port;
    grpc::ServerBuilder builder;
    SetLimits(builder, options.idle_time);
    builder.SetResourceQuota(quota_);
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        MakeCredentials(options));
    builder.RegisterService(&agents_);
    if (admin_) builder.RegisterService(&*admin_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return base::Internal("gRPC does not start");
    doorkeeper_.emplace(
        std::move(listeners), FewEnough(options.strangers), clock_,
        [this](int fd) { HandOver(fd); },
        [this](const std::string& address, CutReason reason) { TellCut(address, reason); });
    return {};
  }

  std::uint16_t port() const override { return port_; }
  Doorkeeper::Counts counts() const override {
    return doorkeeper_ ? doorkeeper_->counts() : Doorkeeper::Counts();
  }

  void Stop(std::chrono::milliseconds deadline) override { Shutdown(deadline); }

 private:
  void Shutdown(std::chrono::milliseconds deadline) {
    WM_CHECK(loop_.OnLoop());
    if (server_ == nullptr) return;
    doorkeeper_.reset();  // gRPC would not close what it is handed from now on
    agents_.Stop();
    if (admin_) admin_->Stop();
    server_->Shutdown(std::chrono::system_clock::now() + deadline);
    server_.reset();
  }

  // On the doorkeeper's thread.
  void HandOver(int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    acceptor_->HandleNewConnection(&connection);
  }
  void TellCut(const std::string& address, CutReason reason) {
    loop_.Post([this, alive = std::weak_ptr<const void>(alive_), address, reason] {
      if (alive.lock() != nullptr) peers_.Tell(address, Sentence(reason));
    });
  }

  // On the loop.
  void Know(const std::string& peer) {
    if (doorkeeper_) doorkeeper_->Know(peer);
  }

  base::Loop& loop_;
  const base::Clock& clock_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();
  identity::PeerLog peers_{clock_, "rpc"};  // of strangers; owned by the loop
  grpc::ResourceQuota quota_{"server"};
  AgentService agents_;
  std::optional<AdminService> admin_;
  std::uint16_t port_ = 0;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::optional<Doorkeeper> doorkeeper_;
};

}  // namespace

base::Result<std::unique_ptr<Server>> Server::Start(const Options& options, base::Loop& loop,
                                                    const base::Clock& clock, AgentCalls& agents,
                                                    api::Dispatch* admin) {
  auto server = std::make_unique<GrpcServer>(loop, clock, agents, admin);
  WM_RETURN_IF_ERROR(server->Listen(options));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace weighmaster::server::rpc
