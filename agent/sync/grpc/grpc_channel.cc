#include "agent/sync/grpc/grpc_channel.h"

#include <chrono>

#include "policy/base/limits.h"
#include "third_party/grpc/log.h"

namespace weighmaster::agent::sync {

namespace limits = base::limits;

namespace {

constexpr int Milliseconds(std::chrono::milliseconds time) {
  return static_cast<int>(time.count());
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const ConnectorOptions& options) {
  grpc_adapter::TakeOverLog();
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = options.ca_pem;
  tls.pem_cert_chain = options.certificate_pem;
  tls.pem_private_key = options.private_key_pem;
  grpc::ChannelArguments arguments;
  // A connection shared by address would outlive a renewal and hide a changed certificate.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // The address is where the token says; the diagnostic handshake goes there directly too.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // gRPC's name for the time that one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(limits::kConnectTimeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(limits::kKeepaliveInterval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(limits::kKeepaliveTimeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxFrameBytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(limits::kMaxFrameBytes));
  return grpc::CreateCustomChannel(options.address, grpc::SslCredentials(tls), arguments);
}

base::Error FromGrpcStatus(const grpc::Status& status) {
  const int code = status.error_code();
  const bool known = code >= static_cast<int>(base::ErrorCode::kCancelled) &&
                     code <= static_cast<int>(base::ErrorCode::kUnauthenticated);
  return {known ? static_cast<base::ErrorCode>(code) : base::ErrorCode::kUnknown,
          status.error_message()};
}

bool MayBeTransport(const base::Error& error) {
  switch (error.code()) {
    case base::ErrorCode::kUnavailable:
    case base::ErrorCode::kUnknown:
    case base::ErrorCode::kInternal:
    case base::ErrorCode::kDeadlineExceeded:
      return true;
    default:
      return false;
  }
}

}  // namespace weighmaster::agent::sync
