#include "server/rpc/agent_service.h"

#include <grpc/grpc_security_constants.h>

#include <optional>
#include <utility>
#include <vector>

#include "policy/base/limits.h"

namespace weighmaster::server::rpc {

namespace limits = base::limits;
using identity::PeerDecision;
using identity::PeerRight;

namespace {

// The certificate of the connection, PEM; "" when there is none.
std::string CertificateOf(const grpc::CallbackServerContext& context) {
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr) return "";
  const auto certificates = auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (certificates.empty()) return "";
  return {certificates.front().data(), certificates.front().size()};
}

base::Error RefusalOf(const PeerDecision& decision, std::string_view otherwise) {
  const std::string message(decision.message.empty() ? otherwise : decision.message);
  if (decision.right == PeerRight::kRefused) return base::PermissionDenied(message);
  return base::Unauthenticated(message);
}

}  // namespace

// One Sync call. gRPC owns it until OnDone, where it deletes itself.
class AgentService::Stream final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
      public wire::Transport<v1::ServerFrame, v1::AgentFrame> {
  using Reactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

 public:
  Stream(AgentService& service, grpc::CallbackServerContext& context)
      : service_(service),
        context_(context),
        address_(PeerAddress(context.peer())),
        pipe_(std::make_shared<AgentPipe>(service.loop_, *this)) {}
  ~Stream() override = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  const std::shared_ptr<AgentPipe>& pipe() const { return pipe_; }

  // The Transport's side, under the pipe's lock. gRPC calls nothing back from inside these.
  void StartRead(v1::AgentFrame* into) override {
    into_ = into;
    Reactor::StartRead(&read_);
  }
  void StartWrite(const v1::ServerFrame* frame) override {
    written_ = Encode(*frame);
    Reactor::StartWrite(&written_);
  }
  void Cancel() override { context_.TryCancel(); }
  void Finish(bool /*by_peer*/, const std::optional<base::Error>& why) override {
    if (why) {
      service_.loop_.Post([&service = service_, alive = std::weak_ptr<const void>(service_.alive_),
                           address = address_, why = *why] {
        if (alive.lock() != nullptr) service.TellEnd(address, why);
      });
    }
    Reactor::Finish(why ? ToGrpcStatus(*why) : grpc::Status::OK);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return pipe_->Fail(base::Unavailable("the agent has closed the stream"));
    const base::Status read = Decode(read_, *into_);
    read_.Clear();
    if (!read) return pipe_->Fail(read.error());
    pipe_->OnRead(true);
  }
  void OnWriteDone(bool ok) override {
    written_.Clear();
    pipe_->OnWritten(ok);
  }
  void OnCancel() override {
    pipe_->Fail(base::Unavailable("the connection to the agent was lost"));
  }
  void OnDone() override {
    service_.Forget(this);
    delete this;
  }

 private:
  AgentService& service_;
  grpc::CallbackServerContext& context_;
  const std::string address_;  // gRPC forgets it when the call is cancelled
  const std::shared_ptr<AgentPipe> pipe_;
  // Of the one read and the one write that are under way.
  grpc::ByteBuffer read_;
  v1::AgentFrame* into_ = nullptr;  // the pipe's
  grpc::ByteBuffer written_;
};

AgentService::AgentService(base::Loop& loop, const base::Clock& clock, AgentCalls& calls,
                           grpc::ResourceQuota& quota, KnowPeer know)
    : loop_(loop),
      calls_(calls),
      quota_(quota),
      know_(std::move(know)),
      limit_(clock),
      enrolments_(loop, clock, limits::kMaxEnrolmentsWaiting),
      peers_(clock, "rpc") {
  SizeQuotaLocked();
}

AgentService::~AgentService() = default;

base::Status AgentService::CheckLimits(const grpc::CallbackServerContext& context,
                                       std::size_t request_bytes) {
  if (request_bytes > limits::kMaxEnrolmentBytes) {
    return base::InvalidArgument("the request is longer than 64 KiB");
  }
  const std::string address = PeerAddress(context.peer());
  if (!limit_.Take(address)) {
    return base::ResourceExhausted("too many enrolments or renewals from " + address +
                                   "; try again in a few seconds");
  }
  return {};
}

template <typename Request>
base::Result<std::shared_ptr<const Request>> AgentService::Read(const Context& context,
                                                                const Bytes& request) {
  WM_RETURN_IF_ERROR(CheckLimits(context, request.Length()));
  auto message = std::make_shared<Request>();
  WM_RETURN_IF_ERROR(Decode(request, *message));
  return std::shared_ptr<const Request>(std::move(message));
}

grpc::ServerUnaryReactor* AgentService::Enrol(Context* context, const Bytes* request,
                                              Bytes* response) {
  const auto read = Read<v1::EnrolRequest>(*context, *request);
  return enrolments_.Begin(*context, [this, read, response,
                                      pem = CertificateOf(*context)](const auto& call) {
    if (!read) return call->Fail(read.error());
    calls_.Classify(pem, [this, asked = *read, response,
                          call](base::Result<PeerDecision> decision) {
      if (call->answered()) return;
      if (!decision) return call->Fail(decision.error());
      if (decision->right != PeerRight::kEnrolOnly) {
        return call->Fail(RefusalOf(*decision, "this endpoint is enrolled already"));
      }
      calls_.Enrol(*asked, [asked, response, call](const base::Result<v1::EnrolResponse>& made) {
        if (!made) return call->Fail(made.error());
        call->Answer(*response, *made);
      });
    });
  });
}

grpc::ServerUnaryReactor* AgentService::Renew(Context* context, const Bytes* request,
                                              Bytes* response) {
  const auto read = Read<v1::RenewRequest>(*context, *request);
  return enrolments_.Begin(
      *context, [this, read, response, pem = CertificateOf(*context)](const auto& call) {
        if (!read) return call->Fail(read.error());
        calls_.Classify(
            pem, [this, asked = *read, response, call](base::Result<PeerDecision> decision) {
              if (call->answered()) return;
              if (!decision) return call->Fail(decision.error());
              if (!decision->endpoint) {
                return call->Fail(RefusalOf(*decision, "this connection may not renew"));
              }
              calls_.Renew(*decision->endpoint, *asked,
                           [asked, response, call](const base::Result<v1::RenewResponse>& made) {
                             if (!made) return call->Fail(made.error());
                             call->Answer(*response, *made);
                           });
            });
      });
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* AgentService::Sync(Context* context) {
  auto* const stream = new Stream(*this, *context);
  const std::shared_ptr<AgentPipe> pipe = stream->pipe();
  if (const base::Status status = Register(stream, pipe); !status) {
    pipe->Fail(status.error());
    return stream;
  }
  loop_.Post([this, alive = std::weak_ptr<const void>(alive_), stream, pipe,
              pem = CertificateOf(*context), peer = context->peer()] {
    if (alive.lock() != nullptr) Admit(pem, peer, stream, pipe);
  });
  return stream;
}

void AgentService::Admit(const std::string& certificate_pem, const std::string& peer,
                         const void* stream, const std::shared_ptr<AgentPipe>& pipe) {
  calls_.Classify(certificate_pem, [this, alive = std::weak_ptr<const void>(alive_), peer, stream,
                                    pipe](base::Result<PeerDecision> decision) {
    if (alive.lock() == nullptr) return;
    if (!decision) return pipe->Fail(decision.error());
    if (decision->right != PeerRight::kSync || !decision->endpoint) {
      return pipe->Fail(RefusalOf(*decision, "this connection may not open a stream"));
    }
    auto channel = std::make_unique<wire::PipeChannel<v1::ServerFrame, v1::AgentFrame>>(pipe);
    wire::ServerListener* const listener = calls_.Accept(std::move(channel), *decision->endpoint);
    if (listener == nullptr) return;
    know_(peer);
    MakeRoom(stream, pipe, *decision->endpoint);
    pipe->Open(*listener);
  });
}

void AgentService::TellEnd(const std::string& address, const base::Error& why) {
  const bool too_slow = why.code() == base::ErrorCode::kResourceExhausted;
  const bool no_frame = why.code() == base::ErrorCode::kInvalidArgument;
  if (too_slow || no_frame) return peers_.Tell(address, "was cut off: " + why.message());
  peers_.Refused(address, why);
}

base::Status AgentService::Register(const void* stream, const std::shared_ptr<AgentPipe>& pipe) {
  const std::lock_guard lock(mutex_);
  streams_.emplace(stream, pipe);
  if (stopped_) return base::Unavailable("the server is stopping");
  if (streams_.size() > limits::kMaxStreams) {
    return base::ResourceExhausted("the server has as many streams as it can hold");
  }
  return {};
}

void AgentService::Forget(const void* stream) {
  const std::lock_guard lock(mutex_);
  streams_.erase(stream);
  const auto admitted = admitted_.find(stream);
  if (admitted == admitted_.end()) return;
  const auto endpoint = endpoints_.find(admitted->second);
  if (--endpoint->second == 0) endpoints_.erase(endpoint);
  admitted_.erase(admitted);
  SizeQuotaLocked();
}

void AgentService::MakeRoom(const void* stream, const std::shared_ptr<AgentPipe>& pipe,
                            const model::Id& endpoint) {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second != pipe) return;  // it has ended meanwhile
  if (admitted_.emplace(stream, endpoint).second) ++endpoints_[endpoint];
  SizeQuotaLocked();
}

void AgentService::SizeQuotaLocked() {
  quota_.Resize(limits::kTransportBytes + endpoints_.size() * limits::kTransportBytesPerStream);
}

void AgentService::Stop() {
  enrolments_.Stop();
  std::vector<std::shared_ptr<AgentPipe>> pipes;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    for (const auto& [stream, pipe] : streams_) pipes.push_back(pipe);
  }
  for (const auto& pipe : pipes) pipe->Fail(base::Unavailable("the server is stopping"));
}

}  // namespace weighmaster::server::rpc
