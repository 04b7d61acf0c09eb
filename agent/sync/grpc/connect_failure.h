#pragma once

#include "agent/sync/grpc/connector.h"
#include "policy/base/error.h"
#include "policy/base/time.h"

namespace weighmaster::agent::sync {

// Why a connection to options.address failed, in one line that says what is wrong and what to do,
// by a TLS handshake of our own; gRPC can't tell. `reported` is what gRPC said, for when the
// handshake finds nothing wrong. Blocks for at most limits::kConnectTimeout.
base::Error ExplainConnectFailure(const ConnectorOptions& options, const base::Error& reported,
                                  base::WallTime now);

}  // namespace weighmaster::agent::sync
