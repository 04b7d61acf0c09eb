#include "server/rpc/server.h"

#include <grpcpp/grpcpp.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "policy/base/check.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/agent_service.h"
#include "third_party/grpc/log.h"

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

void SetLimits(grpc::ServerBuilder& builder) {
  // gRPC would share the port with a second server, and each would take the other's clients.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // One limit for all methods is all that gRPC has, and a unary call's request is read before
  // anybody is asked: enrolments and administrators' requests have smaller ones in their services.
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxFrameBytes));
  builder.SetMaxSendMessageSize(static_cast<int>(limits::kMaxAdminAnswerBytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits::kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(limits::kKeepaliveInterval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(limits::kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // An agent pings once an interval; one that does so twice as often is sent away.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(limits::kKeepaliveInterval) / 2);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Milliseconds(limits::kConnectTimeout));
}

// gRPC only says that it could not listen. Tries the same with a socket of our own for the reason.
base::Error WhyNotListening(const std::string& address) {
  const std::string what = "listen on " + address;
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return base::InvalidArgument(what + ": it is not host:port");
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
      error != 0) {
    return base::InvalidArgument(what + ": " + gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  const int socket_fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return base::FromErrno(errno, what);
  const int on = 1;
  setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool bound =
      bind(socket_fd, found->ai_addr, found->ai_addrlen) == 0 && listen(socket_fd, 1) == 0;
  const int error = errno;
  close(socket_fd);
  if (bound) return base::Unavailable(what + ": the TLS certificate or its key is not usable");
  if (error == EADDRINUSE) {
    return base::AlreadyExists(what +
                               ": the port is in use; stop the server that has it, or choose "
                               "another address");
  }
  return base::FromErrno(error, what);
}

class GrpcServer final : public Server {
 public:
  GrpcServer(base::Loop& loop, const base::Clock& clock, AgentCalls& agents, api::Dispatch* admin)
      : loop_(loop), agents_(loop, clock, agents, quota_) {
    if (admin != nullptr) admin_.emplace(loop, clock, *admin);
  }
  ~GrpcServer() override { Shutdown(std::chrono::milliseconds(0)); }
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  base::Status Listen(const Options& options) {
    grpc_adapter::TakeOverLog();
    grpc::ServerBuilder builder;
    SetLimits(builder);
    builder.SetResourceQuota(quota_);
    builder.AddListeningPort(options.address, MakeCredentials(options), &port_);
    builder.RegisterService(&agents_);
    if (admin_) builder.RegisterService(&*admin_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ <= 0) return WhyNotListening(options.address);
    return {};
  }

  std::uint16_t port() const override { return static_cast<std::uint16_t>(port_); }

  void Stop(std::chrono::milliseconds deadline) override { Shutdown(deadline); }

 private:
  void Shutdown(std::chrono::milliseconds deadline) {
    WM_CHECK(loop_.OnLoop());
    if (server_ == nullptr) return;
    agents_.Stop();
    if (admin_) admin_->Stop();
    server_->Shutdown(std::chrono::system_clock::now() + deadline);
    server_.reset();
  }

  base::Loop& loop_;
  grpc::ResourceQuota quota_{"server"};
  AgentService agents_;
  std::optional<AdminService> admin_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
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
