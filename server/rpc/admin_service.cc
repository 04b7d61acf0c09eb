#include "server/rpc/admin_service.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "policy/base/limits.h"

namespace weighmaster::server::rpc {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;
using api::Dispatch;
namespace limits = base::limits;

namespace {

std::string AuthorizationOf(const Context& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  if (found == metadata.end()) return "";
  return {found->second.data(), found->second.size()};
}

// `out` is gRPC's, and may be gone once the call was answered.
template <typename Response>
void AnswerWith(WaitingCall& call, Response& out, base::Result<Dispatch::Message> result) {
  if (call.answered()) return;
  if (!result) return call.Fail(result.error());
  call.Answer(out, base::Result<Response>(std::move(static_cast<Response&>(**result))));
}

}  // namespace

// One call whose request, a Whole, comes in chunks. The loop starts each read; gRPC's threads put
// the chunks together. gRPC owns it until OnDone, where it deletes itself: after the call was
// answered, so it is there for the loop as long as the call is not.
template <typename Chunk, typename Whole, typename Response>
class AdminService::ChunkedCall final : public grpc::ServerReadReactor<Chunk> {
 public:
  ChunkedCall(AdminService& service, const std::string& authorization, Response& response)
      : service_(service),
        response_(response),
        call_(service.calls_.Begin(
            [this](const grpc::Status& status) {
              late_.reset();
              over_ = true;
              this->Finish(status);
            },
            [this, authorization](const auto& call) { Admit(authorization, call); })) {}
  ~ChunkedCall() override = default;
  ChunkedCall(const ChunkedCall&) = delete;
  ChunkedCall& operator=(const ChunkedCall&) = delete;

  void OnReadDone(bool ok) override {
    if (over_) return;
    if (!ok) return Carry();
    if (request_.chunk().size() > limits::kMaxBundleBytes - bytes_.size()) {
      return Fail(base::ResourceExhausted("such a request has at most 128 MiB"));
    }
    bytes_ += request_.chunk();
    service_.loop_.Post([this, call = call_] {
      if (!call->answered()) this->StartRead(&request_);
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
    const api::Method& method = service_.dispatch_.MethodFor(*Whole::descriptor());
    service_.dispatch_.Admit(method, authorization,
                             [this, call](base::Result<Dispatch::Admission> admission) {
                               if (call->answered()) return;
                               if (!admission) return call->Fail(admission.error());
                               admission_ = *std::move(admission);
                               FailWhenLate(call);
                               this->StartRead(&request_);
                             });
  }

  void FailWhenLate(const Call& call) {
    late_ = std::make_unique<base::Timer>(service_.loop_);
    late_->Start(limits::kMaxPublicationTime, [weak = std::weak_ptr<WaitingCall>(call)] {
      const Call late = weak.lock();
      if (late != nullptr) {
        late->Fail({base::ErrorCode::kAborted, "the request took over five minutes"});
      }
    });
  }

  // The rest is on gRPC's threads. A publication that a lost connection has cut short lacks its
  // document, which comes last, and is refused for that; the answer to a draft finds nobody.
  void Carry() {
    auto whole = std::make_shared<Whole>();
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
      if (call == nullptr || call->answered()) return;
      if (admission_) service_.dispatch_.Abandon(*std::exchange(admission_, std::nullopt), why);
      call->Fail(why);
    });
  }

  AdminService& service_;
  Response& response_;
  std::atomic<bool> over_ = false;  // answered or cancelled: what still arrives is for nobody

  // Owned by the loop.
  std::optional<Dispatch::Admission> admission_;  // until it is called or abandoned
  std::unique_ptr<base::Timer> late_;             // from the admission until all has arrived

  // Owned by gRPC's threads.
  Chunk request_;
  std::string bytes_;
  const Call call_;  // gRPC tells nothing before the constructor is done; the loop has its own
};

AdminService::AdminService(base::Loop& loop, Dispatch& dispatch)
    : loop_(loop), dispatch_(dispatch), calls_(loop, limits::kMaxAdminCallsWaiting) {}

template <typename Request, typename Response>
Reactor* AdminService::Carry(Context& context, const Request& request, Response& response) {
  return calls_.Begin(context, [this, &request, &response,
                                authorization = AuthorizationOf(context)](const auto& call) {
    if (request.ByteSizeLong() > limits::kMaxAdminRequestBytes) {
      return call->Fail(base::InvalidArgument("the request is longer than 64 KiB"));
    }
    const auto copy = std::make_shared<Request>(request);  // gRPC's own may go before the answer
    dispatch_.Admit(dispatch_.MethodFor(*Request::descriptor()), authorization,
                    [this, call, copy, &response](base::Result<Dispatch::Admission> admission) {
                      if (call->answered()) return;
                      if (!admission) return call->Fail(admission.error());
                      dispatch_.Call(*std::move(admission), copy,
                                     [call, &response](base::Result<Dispatch::Message> result) {
                                       AnswerWith(*call, response, std::move(result));
                                     });
                    });
  });
}

Reactor* AdminService::GetFleet(Context* context, const v1::GetFleetRequest* request,
                                v1::GetFleetResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListEndpoints(Context* context, const v1::ListEndpointsRequest* request,
                                     v1::ListEndpointsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::GetEndpoint(Context* context, const v1::GetEndpointRequest* request,
                                   v1::Endpoint* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListSightings(Context* context, const v1::ListSightingsRequest* request,
                                     v1::ListSightingsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::Where(Context* context, const v1::WhereRequest* request,
                             v1::WhereResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::CreateToken(Context* context, const v1::CreateTokenRequest* request,
                                   v1::CreateTokenResponse* response) {
  return Carry(*context, *request, *response);
}

grpc::ServerReadReactor<v1::PublishPolicyRequest>* AdminService::PublishPolicy(
    Context* context, v1::PublishPolicyResponse* response) {
  return new ChunkedCall<v1::PublishPolicyRequest, v1::Publication, v1::PublishPolicyResponse>(
      *this, AuthorizationOf(*context), *response);
}

grpc::ServerReadReactor<v1::SimulatePolicyRequest>* AdminService::SimulatePolicy(
    Context* context, v1::SimulatePolicyResponse* response) {
  return new ChunkedCall<v1::SimulatePolicyRequest, v1::PolicyDraft, v1::SimulatePolicyResponse>(
      *this, AuthorizationOf(*context), *response);
}

Reactor* AdminService::GetPolicy(Context* context, const v1::GetPolicyRequest* request,
                                 v1::GetPolicyResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListExceptions(Context* context, const v1::ListExceptionsRequest* request,
                                      v1::ListExceptionsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::PublishExceptions(Context* context,
                                         const v1::PublishExceptionsRequest* request,
                                         v1::PublishExceptionsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListArtifacts(Context* context, const v1::ListArtifactsRequest* request,
                                     v1::ListArtifactsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListEvents(Context* context, const v1::ListEventsRequest* request,
                                  v1::ListEventsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::GetEvidence(Context* context, const v1::GetEvidenceRequest* request,
                                   v1::GetEvidenceResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListBatches(Context* context, const v1::ListBatchesRequest* request,
                                   v1::ListBatchesResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::CountVerdicts(Context* context, const v1::CountVerdictsRequest* request,
                                     v1::CountVerdictsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListPolicies(Context* context, const v1::ListPoliciesRequest* request,
                                    v1::ListPoliciesResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListFindings(Context* context, const v1::ListFindingsRequest* request,
                                    v1::ListFindingsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::GetFinding(Context* context, const v1::GetFindingRequest* request,
                                  v1::GetFindingResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::UpdateFinding(Context* context, const v1::UpdateFindingRequest* request,
                                     v1::UpdateFindingResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListChanges(Context* context, const v1::ListChangesRequest* request,
                                   v1::ListChangesResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::GetPolicyPart(Context* context, const v1::GetPolicyPartRequest* request,
                                     v1::GetPolicyPartResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::GetStatistics(Context* context, const v1::GetStatisticsRequest* request,
                                     v1::GetStatisticsResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::RevokeEndpoint(Context* context, const v1::RevokeEndpointRequest* request,
                                      v1::RevokeEndpointResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::CreateAdminToken(Context* context,
                                        const v1::CreateAdminTokenRequest* request,
                                        v1::CreateAdminTokenResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListAdminTokens(Context* context, const v1::ListAdminTokensRequest* request,
                                       v1::ListAdminTokensResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::RevokeAdminToken(Context* context,
                                        const v1::RevokeAdminTokenRequest* request,
                                        v1::RevokeAdminTokenResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::ListAuditEntries(Context* context,
                                        const v1::ListAuditEntriesRequest* request,
                                        v1::ListAuditEntriesResponse* response) {
  return Carry(*context, *request, *response);
}

Reactor* AdminService::WhoAmI(Context* context, const v1::WhoAmIRequest* request,
                              v1::WhoAmIResponse* response) {
  return Carry(*context, *request, *response);
}

}  // namespace weighmaster::server::rpc
