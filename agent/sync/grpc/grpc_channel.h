#pragma once

// Inside this room only: it includes gRPC.

#include <grpcpp/grpcpp.h>

#include <memory>

#include "agent/sync/grpc/connector.h"
#include "policy/base/error.h"

namespace weighmaster::agent::sync {

// A connection of its own (nothing is shared with another channel of this process), over TLS that
// trusts options.ca_pem alone, that never retries by itself.
std::shared_ptr<grpc::Channel> MakeChannel(const ConnectorOptions& options);

// `status` is not OK. A code that gRPC does not have becomes UNKNOWN.
base::Error FromGrpcStatus(const grpc::Status& status);

// Whether the status can come from the transport itself, and a diagnostic handshake may know more.
bool MayBeTransport(const base::Error& error);

}  // namespace weighmaster::agent::sync
