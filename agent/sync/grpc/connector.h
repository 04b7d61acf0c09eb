#pragma once

#include <functional>
#include <memory>

#include "agent/sync/enrolment_client.h"
#include "policy/base/loop.h"
#include "policy/base/time.h"
#include "proto/wire/stream/channel.h"

namespace weighmaster::agent::sync {

// Opens AgentService.Sync over mutual TLS. Each Connect makes a connection of its own and tries it
// once: backing off is the session's. A stream that fails before the server's first frame is
// explained by a diagnostic handshake on the executor, because gRPC can't tell why.
//
// Loop-owned; the loop, the executor with its tasks, and the clock must outlive it, and it must
// outlive its channels. Destroying it ends what gRPC still holds and waits for that.
class GrpcConnector final : public wire::Connector {
 public:
  // Asked at each Connect, so that a renewed certificate is used from the next one on.
  using OptionsSource = std::function<ConnectorOptions()>;

  GrpcConnector(base::Loop& loop, base::Executor& executor, const base::Clock& clock,
                OptionsSource options);
  ~GrpcConnector() override;
  GrpcConnector(const GrpcConnector&) = delete;
  GrpcConnector& operator=(const GrpcConnector&) = delete;

  std::unique_ptr<wire::AgentChannel> Connect(wire::AgentListener& listener) override;

 private:
  class Stream;
  class Streams;

  base::Loop& loop_;
  base::Executor& executor_;
  const base::Clock& clock_;
  const OptionsSource options_;
  const std::shared_ptr<Streams> streams_;
};

}  // namespace weighmaster::agent::sync
