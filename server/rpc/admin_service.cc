#include "server/rpc/admin_service.h"

#include <google/protobuf/message.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "policy/base/limits.h"

namespace weighmaster::server::rpc {

using api::Dispatch;
using google::protobuf::Message;
namespace limits = base::limits;

namespace {

std::string AuthorizationOf(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  if (found == metadata.end()) return "";
  return {found->second.data(), found->second.size()};
}

// `out` is gRPC's, and may be gone once the call was answered.
void AnswerWith(WaitingCall& call, grpc::ByteBuffer& out,
                const base::Result<Dispatch::Message>& result) {
  if (!result) return call.Fail(result.error());
  call.Answer(out, **result);
}

std::unique_ptr<Message> New(const google::protobuf::Descriptor& type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

}  // namespace

// One call whose request comes in chunks. The loop starts each read; gRPC's threads put the chunks
// together. gRPC owns it until OnDone, where it deletes itself: after the call was answered, so it
// is there for the loop as long as the call is not.
class AdminService::ChunkedCall final : public grpc::ServerReadReactor<grpc::ByteBuffer> {
 public:
  ChunkedCall(AdminService& service, const api::Method& method, const Context& context,
              Bytes& response)
      : service_(service),
        method_(method),
        response_(response),
        chunk_(New(*method.descriptor->input_type())),
        call_(service.calls_.Begin(
            context,
            [this](const grpc::Status& status) {
              late_.reset();
              over_ = true;
              this->Finish(status);
            },
            [this, authorization = AuthorizationOf(context)](const auto& call) {
              Admit(authorization, call);
            })) {}
  ~ChunkedCall() override = default;
  ChunkedCall(const ChunkedCall&) = delete;
  ChunkedCall& operator=(const ChunkedCall&) = delete;

  void OnReadDone(bool ok) override {
    if (over_) return;
    if (!ok) return Carry();
    if (const base::Status added = AddChunk(); !added) return Fail(added.error());
    service_.loop_.Post([this, call = call_] {
      if (!call->answered()) this->StartRead(&read_);
    });
  }
  void OnCancel() override {
    over_ = true;
    Fail({base::ErrorCode::kCancelled, "the caller has gone"});
  }
  void OnDone() override { delete this; }

 private:
  using Call = std::shared_ptr<WaitingCall>;

  // On the loop.
  void Admit(const std::string& authorization, const Call& call) {
    service_.dispatch_.Admit(method_, authorization,
                             [this, call](base::Result<Dispatch::Admission> admission) {
                               if (call->answered()) return;
                               if (!admission) return call->Fail(admission.error());
                               service_.know_(call->peer());
                               admission_ = *std::move(admission);
                               FailWhenLate(call);
                               this->StartRead(&read_);
                             });
  }

  void FailWhenLate(const Call& call) {
    late_ = std::make_unique<base::Timer>(service_.loop_);
    late_->Start(limits::kMaxPublicationTime, [this, weak = std::weak_ptr<WaitingCall>(call)] {
      const Call late = weak.lock();
      if (late != nullptr) {
        GiveUp(*late, {base::ErrorCode::kAborted, "the request took over five minutes"});
      }
    });
  }
  void GiveUp(WaitingCall& call, const base::Error& why) {
    if (call.answered()) return;
    if (admission_) service_.dispatch_.Abandon(*std::exchange(admission_, std::nullopt), why);
    call.Fail(why);
  }

  // The rest is on gRPC's threads.
  base::Status AddChunk() {
    WM_RETURN_IF_ERROR(Decode(read_, *chunk_));
    std::string scratch;
    const std::string& chunk = chunk_->GetReflection()->GetStringReference(
        *chunk_, method_.descriptor->input_type()->FindFieldByName("chunk"), &scratch);
    if (chunk.size() > limits::kMaxBundleBytes - bytes_.size()) {
      return base::ResourceExhausted("such a request has at most 128 MiB");
    }
    bytes_ += chunk;
    return {};
  }
  // A publication that a lost connection has cut short lacks its document, which comes last, and is
  // refused for that; the answer to a draft finds nobody.
  void Carry() {
    const std::shared_ptr<Message> whole = New(*method_.request);
    const bool parsed = whole->ParseFromString(bytes_);
    bytes_ = std::string();
    if (!parsed) return Fail(base::InvalidArgument("the request can't be parsed"));
    service_.loop_.Post([this, whole, call = call_] {
      if (call->answered()) return;
      late_.reset();  // from here on it is not the caller who takes time
      service_.dispatch_.Call(*std::exchange(admission_, std::nullopt), whole,
                              [this, call](base::Result<Dispatch::Message> result) {
                                AnswerWith(*call, response_, std::move(result));
                              });
    });
  }
  void Fail(const base::Error& why) {
    service_.loop_.Post([this, why, call = call_] {
      if (call != nullptr) GiveUp(*call, why);
    });
  }

  AdminService& service_;
  const api::Method& method_;
  Bytes& response_;
  std::atomic<bool> over_ = false;  // answered or cancelled: what still arrives is for nobody

  // Owned by the loop.
  std::optional<Dispatch::Admission> admission_;  // until it is called or abandoned
  std::unique_ptr<base::Timer> late_;             // from the admission until all has arrived

  // Owned by gRPC's threads.
  Bytes read_;
  const std::unique_ptr<Message> chunk_;
  std::string bytes_;
  const Call call_;  // gRPC tells nothing before the constructor is done; the loop has its own
};

// As the classes do that gRPC generates for a method each (WithRawCallbackMethod_…).
AdminService::AdminService(base::Loop& loop, const base::Clock& clock, Dispatch& dispatch,
                           KnowPeer know)
    : loop_(loop),
      dispatch_(dispatch),
      know_(std::move(know)),
      calls_(loop, clock, limits::kMaxAdminCallsWaiting) {
  for (const api::Method& method : dispatch_.methods()) {
    grpc::internal::MethodHandler* handler = nullptr;
    if (method.descriptor->client_streaming()) {
      handler = new grpc::internal::CallbackClientStreamingHandler<Bytes, Bytes>(
          [this, &method](Context* context, Bytes* response) {
            return new ChunkedCall(*this, method, *context, *response);
          });
    } else {
      handler = new grpc::internal::CallbackUnaryHandler<Bytes, Bytes>(
          [this, &method](Context* context, const Bytes* request, Bytes* response) {
            return Carry(*context, method, *request, *response);
          });
    }
    MarkMethodRawCallback(method.descriptor->index(), handler);
  }
}

grpc::ServerUnaryReactor* AdminService::Carry(Context& context, const api::Method& method,
                                              const Bytes& request, Bytes& response) {
  // gRPC's own request may go before the answer: the copy shares its bytes.
  return calls_.Begin(context, [this, &method, request, &response,
                                authorization = AuthorizationOf(context)](const auto& call) {
    dispatch_.Admit(method, authorization,
                    [this, call, request, &response](base::Result<Dispatch::Admission> admission) {
                      if (call->answered()) return;
                      if (!admission) return call->Fail(admission.error());
                      know_(call->peer());
                      Run(*std::move(admission), request, response, call);
                    });
  });
}

void AdminService::Run(Dispatch::Admission admission, const Bytes& request, Bytes& response,
                       const std::shared_ptr<WaitingCall>& call) {
  const Dispatch::Message message = New(*admission.method->request);
  const base::Status read =
      request.Length() > limits::kMaxAdminRequestBytes
          ? base::Status(base::InvalidArgument("the request is longer than 64 KiB"))
          : Decode(request, *message);
  if (!read) {
    dispatch_.Abandon(std::move(admission), read.error());
    return call->Fail(read.error());
  }
  dispatch_.Call(std::move(admission), message,
                 [call, &response](const base::Result<Dispatch::Message>& result) {
                   AnswerWith(*call, response, result);
                 });
}

}  // namespace weighmaster::server::rpc
