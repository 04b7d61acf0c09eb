#pragma once

// Inside this room only: it includes gRPC.

#include <grpcpp/grpcpp.h>

#include "policy/base/loop.h"
#include "server/api/dispatch.h"
#include "server/rpc/waiting_calls.h"
#include "weighmaster/v1/admin.grpc.pb.h"

namespace weighmaster::server::rpc {

// AdminService over Dispatch: each call is carried to the loop with the metadata's `authorization`,
// the only thing that is ever taken from there. A request in chunks is read once Dispatch has
// admitted it. Must outlive the grpc::Server.
class AdminService final : public v1::AdminService::CallbackService {
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

 public:
  AdminService(base::Loop& loop, api::Dispatch& dispatch);

  Reactor* GetFleet(Context* context, const v1::GetFleetRequest* request,
                    v1::GetFleetResponse* response) override;
  Reactor* ListEndpoints(Context* context, const v1::ListEndpointsRequest* request,
                         v1::ListEndpointsResponse* response) override;
  Reactor* GetEndpoint(Context* context, const v1::GetEndpointRequest* request,
                       v1::Endpoint* response) override;
  Reactor* ListSightings(Context* context, const v1::ListSightingsRequest* request,
                         v1::ListSightingsResponse* response) override;
  Reactor* Where(Context* context, const v1::WhereRequest* request,
                 v1::WhereResponse* response) override;
  Reactor* CreateToken(Context* context, const v1::CreateTokenRequest* request,
                       v1::CreateTokenResponse* response) override;
  grpc::ServerReadReactor<v1::PublishPolicyRequest>* PublishPolicy(
      Context* context, v1::PublishPolicyResponse* response) override;
  grpc::ServerReadReactor<v1::SimulatePolicyRequest>* SimulatePolicy(
      Context* context, v1::SimulatePolicyResponse* response) override;
  Reactor* GetPolicy(Context* context, const v1::GetPolicyRequest* request,
                     v1::GetPolicyResponse* response) override;
  Reactor* ListExceptions(Context* context, const v1::ListExceptionsRequest* request,
                          v1::ListExceptionsResponse* response) override;
  Reactor* PublishExceptions(Context* context, const v1::PublishExceptionsRequest* request,
                             v1::PublishExceptionsResponse* response) override;
  Reactor* ListArtifacts(Context* context, const v1::ListArtifactsRequest* request,
                         v1::ListArtifactsResponse* response) override;
  Reactor* ListEvents(Context* context, const v1::ListEventsRequest* request,
                      v1::ListEventsResponse* response) override;
  Reactor* GetEvidence(Context* context, const v1::GetEvidenceRequest* request,
                       v1::GetEvidenceResponse* response) override;
  Reactor* ListBatches(Context* context, const v1::ListBatchesRequest* request,
                       v1::ListBatchesResponse* response) override;
  Reactor* CountVerdicts(Context* context, const v1::CountVerdictsRequest* request,
                         v1::CountVerdictsResponse* response) override;
  Reactor* ListPolicies(Context* context, const v1::ListPoliciesRequest* request,
                        v1::ListPoliciesResponse* response) override;
  Reactor* ListFindings(Context* context, const v1::ListFindingsRequest* request,
                        v1::ListFindingsResponse* response) override;
  Reactor* GetFinding(Context* context, const v1::GetFindingRequest* request,
                      v1::GetFindingResponse* response) override;
  Reactor* UpdateFinding(Context* context, const v1::UpdateFindingRequest* request,
                         v1::UpdateFindingResponse* response) override;
  Reactor* ListChanges(Context* context, const v1::ListChangesRequest* request,
                       v1::ListChangesResponse* response) override;
  Reactor* GetPolicyPart(Context* context, const v1::GetPolicyPartRequest* request,
                         v1::GetPolicyPartResponse* response) override;
  Reactor* GetStatistics(Context* context, const v1::GetStatisticsRequest* request,
                         v1::GetStatisticsResponse* response) override;
  Reactor* RevokeEndpoint(Context* context, const v1::RevokeEndpointRequest* request,
                          v1::RevokeEndpointResponse* response) override;
  Reactor* CreateAdminToken(Context* context, const v1::CreateAdminTokenRequest* request,
                            v1::CreateAdminTokenResponse* response) override;
  Reactor* ListAdminTokens(Context* context, const v1::ListAdminTokensRequest* request,
                           v1::ListAdminTokensResponse* response) override;
  Reactor* RevokeAdminToken(Context* context, const v1::RevokeAdminTokenRequest* request,
                            v1::RevokeAdminTokenResponse* response) override;
  Reactor* ListAuditEntries(Context* context, const v1::ListAuditEntriesRequest* request,
                            v1::ListAuditEntriesResponse* response) override;
  Reactor* WhoAmI(Context* context, const v1::WhoAmIRequest* request,
                  v1::WhoAmIResponse* response) override;

  // Answers all calls and takes no more. On the loop.
  void Stop() { calls_.Stop(); }

 private:
  template <typename Chunk, typename Whole, typename Response>
  class ChunkedCall;

  template <typename Request, typename Response>
  Reactor* Carry(Context& context, const Request& request, Response& response);

  base::Loop& loop_;
  api::Dispatch& dispatch_;
  WaitingCalls calls_;
};

}  // namespace weighmaster::server::rpc
