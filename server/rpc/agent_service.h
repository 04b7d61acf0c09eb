#pragma once

// Inside this room only: it includes gRPC.

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "policy/base/loop.h"
#include "policy/base/time.h"
#include "proto/wire/stream/pipe.h"
#include "server/identity/peer_log.h"
#include "server/rpc/calls.h"
#include "server/rpc/peer_limit.h"
#include "server/rpc/waiting_calls.h"
#include "weighmaster/v1/sync.grpc.pb.h"

namespace weighmaster::server::rpc {

using AgentPipe = wire::Pipe<v1::ServerFrame, v1::AgentFrame>;

// AgentService over AgentCalls. gRPC's threads take calls in and move frames; everything else is on
// the loop. What a caller may do is decided by the certificate of its connection and nothing else.
// Gives `quota` the size that limits::kTransportBytes describes. Must outlive gRPC's last call to
// it, that is, the grpc::Server.
class AgentService final
    : public v1::AgentService::WithRawCallbackMethod_Enrol<
          v1::AgentService::WithRawCallbackMethod_Renew<
              v1::AgentService::WithRawCallbackMethod_Sync<v1::AgentService::Service>>> {
  using Context = grpc::CallbackServerContext;
  using Bytes = grpc::ByteBuffer;

 public:
  // `know` hears on the loop whose peer, as gRPC names it, may have the stream that it asked for.
  AgentService(base::Loop& loop, const base::Clock& clock, AgentCalls& calls,
               grpc::ResourceQuota& quota, KnowPeer know);
  ~AgentService() override;
  AgentService(const AgentService&) = delete;
  AgentService& operator=(const AgentService&) = delete;

  grpc::ServerUnaryReactor* Enrol(Context* context, const Bytes* request, Bytes* response) override;
  grpc::ServerUnaryReactor* Renew(Context* context, const Bytes* request, Bytes* response) override;
  grpc::ServerBidiReactor<Bytes, Bytes>* Sync(Context* context) override;

  // Ends all streams, answers all calls, and takes no more. On the loop.
  void Stop();

 private:
  class Stream;

  // The request of a stranger, parsed when it is within the limits.
  template <typename Request>
  base::Result<std::shared_ptr<const Request>> Read(const Context& context, const Bytes& request);
  base::Status CheckLimits(const Context& context, std::size_t request_bytes);
  base::Status Register(const void* stream, const std::shared_ptr<AgentPipe>& pipe);
  void Forget(const void* stream);
  void Admit(const std::string& certificate_pem, const std::string& peer, const void* stream,
             const std::shared_ptr<AgentPipe>& pipe);
  // To the log, where a stream ended for who its peer is, or for what it did.
  void TellEnd(const std::string& address, const base::Error& why);
  void MakeRoom(const void* stream, const std::shared_ptr<AgentPipe>& pipe,
                const model::Id& endpoint);
  void SizeQuotaLocked();

  base::Loop& loop_;
  AgentCalls& calls_;
  grpc::ResourceQuota& quota_;  // sized under mutex_
  const KnowPeer know_;
  PeerLimit limit_;
  WaitingCalls enrolments_;

  // Owned by the loop: replies that come after it do nothing.
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();
  identity::PeerLog peers_;  // of streams

  std::mutex mutex_;  // gRPC's threads and the loop
  std::unordered_map<const void*, std::shared_ptr<AgentPipe>> streams_;
  // Those of them whose endpoint is known, and how many each endpoint has.
  std::unordered_map<const void*, model::Id> admitted_;
  std::map<model::Id, std::size_t> endpoints_;
  bool stopped_ = false;
};

}  // namespace weighmaster::server::rpc
