#pragma once

// Inside this room only: it includes gRPC.

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "policy/base/loop.h"
#include "policy/base/result.h"

namespace weighmaster::server::rpc {

// Code and message as they are: the numbers are gRPC's.
grpc::Status ToGrpcStatus(const base::Error& error);

class UnaryCalls;

// A call that the loop is to answer. Loop-owned; once answered, by whomever, it stays so.
class UnaryCall {
 public:
  UnaryCall(UnaryCalls& calls, grpc::ServerUnaryReactor& reactor)
      : calls_(calls), reactor_(reactor) {}
  UnaryCall(const UnaryCall&) = delete;
  UnaryCall& operator=(const UnaryCall&) = delete;

  bool answered() const { return answered_; }
  // The request and `out` are gRPC's, and are gone once the call was answered.
  template <typename Response>
  void Answer(Response& out, base::Result<Response> result) {
    if (answered_) return;
    if (result) out = std::move(result).value();
    Finish(result ? grpc::Status::OK : ToGrpcStatus(result.error()));
  }
  void Fail(const base::Error& error) {
    if (!answered_) Finish(ToGrpcStatus(error));
  }

 private:
  void Finish(const grpc::Status& status);

  UnaryCalls& calls_;  // not touched once answered
  grpc::ServerUnaryReactor& reactor_;
  bool answered_ = false;
};

// The calls of one kind that wait for the loop, at most `most`. gRPC's shutdown waits for all of
// them, and the loop that would answer is the one that stops: so Stop answers them.
class UnaryCalls {
 public:
  using Start = std::function<void(const std::shared_ptr<UnaryCall>&)>;

  UnaryCalls(base::Loop& loop, std::size_t most) : loop_(loop), most_(most) {}
  UnaryCalls(const UnaryCalls&) = delete;
  UnaryCalls& operator=(const UnaryCalls&) = delete;

  // From gRPC's threads: has `start` run on the loop, unless the call was answered by then.
  grpc::ServerUnaryReactor* Begin(grpc::CallbackServerContext& context, Start start);

  // On the loop: UNAVAILABLE to all that wait, and to all that still come.
  void Stop();

 private:
  friend class UnaryCall;
  void Remove(const UnaryCall& call);

  base::Loop& loop_;
  const std::size_t most_;
  std::mutex mutex_;  // gRPC's threads and the loop; held for a look-up
  std::unordered_map<const UnaryCall*, std::shared_ptr<UnaryCall>> calls_;
  bool stopped_ = false;
};

}  // namespace weighmaster::server::rpc
