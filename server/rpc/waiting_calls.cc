#include "server/rpc/waiting_calls.h"

#include "policy/base/check.h"
#include "server/rpc/peer_limit.h"

namespace weighmaster::server::rpc {

grpc::Status ToGrpcStatus(const base::Error& error) {
  return {static_cast<grpc::StatusCode>(error.code()), error.message()};
}

void WaitingCall::Fail(const base::Error& error) {
  if (answered_) return;
  calls_.peers_.Refused(PeerAddress(peer_), error);
  Finish(ToGrpcStatus(error));
}

void WaitingCall::Finish(const grpc::Status& status) {
  answered_ = true;
  calls_.Remove(*this);
  finish_(status);
}

grpc::ServerUnaryReactor* WaitingCalls::Begin(grpc::CallbackServerContext& context, Start start) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  Begin(
      context, [reactor](const grpc::Status& status) { reactor->Finish(status); },
      std::move(start));
  return reactor;
}

std::shared_ptr<WaitingCall> WaitingCalls::Begin(const grpc::CallbackServerContext& context,
                                                 const WaitingCall::Finisher& finish, Start start) {
  const auto call = std::make_shared<WaitingCall>(*this, finish, context.peer());
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      finish(ToGrpcStatus(base::Unavailable("the server is stopping")));
      return nullptr;
    }
    if (calls_.size() >= most_) {
      finish(ToGrpcStatus(base::ResourceExhausted(
          "the server is busy with other calls of this kind; try again in a few seconds")));
      return nullptr;
    }
    calls_.emplace(call.get(), call);
  }
  loop_.Post([call, start = std::move(start)] {
    if (!call->answered()) start(call);
  });
  return call;
}

void WaitingCalls::Stop() {
  WM_CHECK(loop_.OnLoop());
  std::unordered_map<const WaitingCall*, std::shared_ptr<WaitingCall>> waiting;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    waiting = calls_;
  }
  for (const auto& [name, call] : waiting) call->Fail(base::Unavailable("the server is stopping"));
}

void WaitingCalls::Remove(const WaitingCall& call) {
  const std::lock_guard lock(mutex_);
  calls_.erase(&call);
}

}  // namespace weighmaster::server::rpc
