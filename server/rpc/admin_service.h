#pragma once

// Inside this room only: it includes gRPC.

#include <grpcpp/grpcpp.h>

#include <memory>

#include "policy/base/loop.h"
#include "policy/base/time.h"
#include "server/api/dispatch.h"
#include "server/rpc/waiting_calls.h"
#include "weighmaster/v1/admin.grpc.pb.h"

namespace weighmaster::server::rpc {

// AdminService over Dispatch: each call is carried to the loop with the metadata's `authorization`,
// the only thing that is ever taken from there. A request is parsed, and one in chunks is read,
// once Dispatch has admitted it: what nobody can parse has a caller as well, who is told, and is
// counted. Must outlive the grpc::Server.
class AdminService final : public v1::AdminService::Service {
  using Context = grpc::CallbackServerContext;
  using Bytes = grpc::ByteBuffer;

 public:
  // `know` hears on the loop whose call, as gRPC names its peer, was admitted.
  AdminService(base::Loop& loop, const base::Clock& clock, api::Dispatch& dispatch, KnowPeer know);

  // Answers all calls and takes no more. On the loop.
  void Stop() { calls_.Stop(); }

 private:
  class ChunkedCall;

  grpc::ServerUnaryReactor* Carry(Context& context, const api::Method& method, const Bytes& request,
                                  Bytes& response);
  void Run(api::Dispatch::Admission admission, const Bytes& request, Bytes& response,
           const std::shared_ptr<WaitingCall>& call);

  base::Loop& loop_;
  api::Dispatch& dispatch_;
  const KnowPeer know_;
  WaitingCalls calls_;
};

}  // namespace weighmaster::server::rpc
