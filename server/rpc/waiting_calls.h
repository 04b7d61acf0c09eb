#pragma once

// Inside this room only: it includes gRPC.

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/identity/peer_log.h"
#include "server/rpc/encoding.h"

namespace weighmaster::server::rpc {

// Code and message as they are: the numbers are gRPC's.
grpc::Status ToGrpcStatus(const base::Error& error);

// Hears that the peer of a connection, as gRPC names it, has shown who it is.
using KnowPeer = std::function<void(const std::string& peer)>;

class WaitingCalls;

// A call with one answer, which the loop is to give. Loop-owned; once answered, by whomever, it
// stays so.
class WaitingCall {
 public:
  using Finisher = std::function<void(const grpc::Status&)>;

  WaitingCall(WaitingCalls& calls, Finisher finish, std::string peer)
      : calls_(calls), finish_(std::move(finish)), peer_(std::move(peer)) {}
  ~WaitingCall() = default;
  WaitingCall(const WaitingCall&) = delete;
  WaitingCall& operator=(const WaitingCall&) = delete;

  bool answered() const { return answered_; }
  const std::string& peer() const { return peer_; }
  // Reactor, request and `out` are gRPC's, and may be gone once the call was answered.
  void Answer(grpc::ByteBuffer& out, const google::protobuf::MessageLite& response) {
    if (answered_) return;
    out = Encode(response);
    Finish(grpc::Status::OK);
  }
  // Says why; also to the log, where it is for who calls.
  void Fail(const base::Error& error);

 private:
  void Finish(const grpc::Status& status);

  WaitingCalls& calls_;  // not touched once answered
  const Finisher finish_;
  const std::string peer_;  // as gRPC has it
  bool answered_ = false;
};

// The calls of one kind that wait for the loop, at most `most`. gRPC's shutdown waits for all of
// them, and the loop that would answer is the one that stops: so Stop answers them.
class WaitingCalls {
 public:
  using Start = std::function<void(const std::shared_ptr<WaitingCall>&)>;

  WaitingCalls(base::Loop& loop, const base::Clock& clock, std::size_t most)
      : loop_(loop), most_(most), peers_(clock, "rpc") {}
  ~WaitingCalls() = default;
  WaitingCalls(const WaitingCalls&) = delete;
  WaitingCalls& operator=(const WaitingCalls&) = delete;

  // From gRPC's threads: has `start` run on the loop, unless the call was answered by then.
  grpc::ServerUnaryReactor* Begin(grpc::CallbackServerContext& context, Start start);
  // The same for a call with a reactor of its own, which `finish` ends. Null when it is ended
  // already.
  std::shared_ptr<WaitingCall> Begin(const grpc::CallbackServerContext& context,
                                     const WaitingCall::Finisher& finish, Start start);

  // On the loop: UNAVAILABLE to all that wait, and to all that still come.
  void Stop();

 private:
  friend class WaitingCall;
  void Remove(const WaitingCall& call);

  base::Loop& loop_;
  const std::size_t most_;
  std::mutex mutex_;  // gRPC's threads and the loop; held for a look-up
  std::unordered_map<const WaitingCall*, std::shared_ptr<WaitingCall>> calls_;
  bool stopped_ = false;
  identity::PeerLog peers_;  // owned by the loop
};

}  // namespace weighmaster::server::rpc
