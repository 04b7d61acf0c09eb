#include "server/rpc/unary_calls.h"

#include "policy/base/check.h"

namespace weighmaster::server::rpc {

grpc::Status ToGrpcStatus(const base::Error& error) {
  return {static_cast<grpc::StatusCode>(error.code()), error.message()};
}

void UnaryCall::Finish(const grpc::Status& status) {
  answered_ = true;
  calls_.Remove(*this);
  reactor_.Finish(status);
}

grpc::ServerUnaryReactor* UnaryCalls::Begin(grpc::CallbackServerContext& context, Start start) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  const auto call = std::make_shared<UnaryCall>(*this, *reactor);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      reactor->Finish(ToGrpcStatus(base::Unavailable("the server is stopping")));
      return reactor;
    }
    if (calls_.size() >= most_) {
      reactor->Finish(ToGrpcStatus(base::ResourceExhausted(
          "the server is busy with other calls of this kind; try again in a few seconds")));
      return reactor;
    }
    calls_.emplace(call.get(), call);
  }
  loop_.Post([call, start = std::move(start)] {
    if (!call->answered()) start(call);
  });
  return reactor;
}

void UnaryCalls::Stop() {
  WM_CHECK(loop_.OnLoop());
  std::unordered_map<const UnaryCall*, std::shared_ptr<UnaryCall>> waiting;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    waiting = calls_;
  }
  for (const auto& [name, call] : waiting) call->Fail(base::Unavailable("the server is stopping"));
}

void UnaryCalls::Remove(const UnaryCall& call) {
  const std::lock_guard lock(mutex_);
  calls_.erase(&call);
}

}  // namespace weighmaster::server::rpc
