#include "agent/sync/grpc/connector.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/sync/grpc/connect_failure.h"
#include "agent/sync/grpc/grpc_channel.h"
#include "policy/base/check.h"
#include "proto/wire/stream/pipe.h"
#include "weighmaster/v1/sync.grpc.pb.h"

namespace weighmaster::agent::sync {

namespace {

using ServerPipe = wire::Pipe<v1::AgentFrame, v1::ServerFrame>;

}  // namespace

// The streams that gRPC still holds, and the connections of those that it has let go. gRPC 1.51
// joins its callback threads when the last channel goes, so that a channel must never go on one of
// them. Callable from any thread, but for Sweep and EndAndWait.
class GrpcConnector::Streams final : public std::enable_shared_from_this<Streams> {
 public:
  using Stub = std::unique_ptr<v1::AgentService::Stub>;

  void Add(std::shared_ptr<ServerPipe> pipe) {
    const std::lock_guard lock(mutex_);
    pipes_.insert(std::move(pipe));
  }

  // The loop is posted to under the lock: whoever waits for the end may destroy the loop next.
  void Remove(const std::shared_ptr<ServerPipe>& pipe, Stub stub, base::Loop& loop) {
    const std::lock_guard lock(mutex_);
    pipes_.erase(pipe);
    unused_.push_back(std::move(stub));
    loop.Post([self = shared_from_this()] { self->Sweep(); });
    changed_.notify_all();
  }

  // On the loop.
  void Sweep() {
    std::vector<Stub> unused;  // destroyed when the lock is free again
    const std::lock_guard lock(mutex_);
    unused.swap(unused_);
  }

  // On the loop.
  void EndAndWait() {
    {
      std::unique_lock lock(mutex_);
      for (const auto& pipe : pipes_) pipe->Abort();
      changed_.wait(lock, [this] { return pipes_.empty(); });
    }
    Sweep();
  }

 private:
  std::mutex mutex_;  // gRPC's threads and the loop
  std::condition_variable changed_;
  std::unordered_set<std::shared_ptr<ServerPipe>> pipes_;
  std::vector<Stub> unused_;
};

// One Sync call. gRPC owns it until OnDone, where it deletes itself. A hold keeps OnDone away until
// the pipe has finished, because the pipe starts reads and writes from the loop.
class GrpcConnector::Stream final : public grpc::ClientBidiReactor<v1::AgentFrame, v1::ServerFrame>,
                                    public wire::Transport<v1::AgentFrame, v1::ServerFrame> {
  using Reactor = grpc::ClientBidiReactor<v1::AgentFrame, v1::ServerFrame>;

 public:
  // What OnDone needs once a stream has failed.
  struct Surroundings {
    base::Loop& loop;
    base::Executor& executor;
    const base::Clock& clock;
    std::shared_ptr<Streams> streams;
  };

  Stream(Surroundings surroundings, ConnectorOptions options)
      : surroundings_(std::move(surroundings)),
        options_(std::move(options)),
        stub_(v1::AgentService::NewStub(MakeChannel(options_))),
        pipe_(std::make_shared<ServerPipe>(surroundings_.loop, *this)) {
    stub_->async()->Sync(&context_, this);
    AddHold();
  }
  ~Stream() override = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  const std::shared_ptr<ServerPipe>& pipe() const { return pipe_; }

  // The Transport's side, under the pipe's lock. gRPC calls nothing back from inside these.
  void StartRead(v1::ServerFrame* into) override { Reactor::StartRead(into); }
  void StartWrite(const v1::AgentFrame* frame) override { Reactor::StartWrite(frame); }
  void Cancel() override { context_.TryCancel(); }
  void Finish(bool by_peer, const std::optional<base::Error>& /*why*/) override {
    if (!by_peer)
      context_.TryCancel();  // a stream that the peer ended still has its status to come
    RemoveHold();
  }

  void OnReadDone(bool ok) override {
    if (ok) opened_ = true;
    pipe_->OnRead(ok);
  }
  void OnWriteDone(bool ok) override { pipe_->OnWritten(ok); }
  void OnDone(const grpc::Status& status) override {
    if (status.ok()) {
      pipe_->OnEnd(base::Unavailable("the server has closed the stream"));
    } else if (status.error_code() == grpc::StatusCode::CANCELLED) {
      // Not by us: then nobody listens any more.
      pipe_->OnEnd(base::Unavailable("the server has broken the stream off"));
    } else {
      Ended(FromGrpcStatus(status));
    }
    const std::shared_ptr<Streams> streams = surroundings_.streams;
    base::Loop& loop = surroundings_.loop;
    Streams::Stub stub = std::move(stub_);  // outlives the context, which refers to its channel too
    const std::shared_ptr<ServerPipe> pipe = pipe_;
    delete this;
    streams->Remove(pipe, std::move(stub), loop);
  }

 private:
  void Ended(const base::Error& error) {
    if (opened_ || !MayBeTransport(error)) {
      pipe_->OnEnd(error);
      return;
    }
    surroundings_.loop.Post([pipe = pipe_, error, options = std::move(options_),
                             &executor = surroundings_.executor, &clock = surroundings_.clock] {
      if (!pipe->attached()) return;
      executor.Submit([pipe, error, options, &clock] {
        pipe->OnEnd(ExplainConnectFailure(options, error, clock.Now()));
      });
    });
  }

  const Surroundings surroundings_;
  ConnectorOptions options_;
  std::unique_ptr<v1::AgentService::Stub> stub_;
  const std::shared_ptr<ServerPipe> pipe_;
  grpc::ClientContext context_;
  bool opened_ = false;  // OnReadDone, and OnDone after it
};

GrpcConnector::GrpcConnector(base::Loop& loop, base::Executor& executor, const base::Clock& clock,
                             OptionsSource options)
    : loop_(loop),
      executor_(executor),
      clock_(clock),
      options_(std::move(options)),
      streams_(std::make_shared<Streams>()) {}

GrpcConnector::~GrpcConnector() { streams_->EndAndWait(); }

std::unique_ptr<wire::AgentChannel> GrpcConnector::Connect(wire::AgentListener& listener) {
  WM_CHECK(loop_.OnLoop());
  auto* const stream =
      new Stream({loop_, executor_, clock_, streams_}, options_());  // until its OnDone
  const std::shared_ptr<ServerPipe> pipe = stream->pipe();
  streams_->Add(pipe);
  pipe->Open(listener);
  stream->StartCall();
  return std::make_unique<wire::PipeChannel<v1::AgentFrame, v1::ServerFrame>>(pipe);
}

}  // namespace weighmaster::agent::sync
