#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "server/store/store.h"

namespace weighmaster::v1 {
class CreateAdminTokenRequest;
class CreateAdminTokenResponse;
class CreateTokenRequest;
class CreateTokenResponse;
class Endpoint;
class GetEndpointRequest;
class GetEvidenceRequest;
class GetEvidenceResponse;
class GetFleetRequest;
class GetFleetResponse;
class GetFindingRequest;
class GetFindingResponse;
class UpdateFindingRequest;
class UpdateFindingResponse;
class ListChangesRequest;
class ListChangesResponse;
class GetPolicyPartRequest;
class GetPolicyPartResponse;
class GetStatisticsRequest;
class GetStatisticsResponse;
class GetPolicyRequest;
class GetPolicyResponse;
class ListAdminTokensRequest;
class ListAdminTokensResponse;
class ListAuditEntriesRequest;
class ListAuditEntriesResponse;
class ListBatchesRequest;
class ListBatchesResponse;
class ListEndpointsRequest;
class PublishedExceptionSet;
class GetExceptionSetRequest;
class ListExceptionsRequest;
class ListExceptionsResponse;
class ListEndpointsResponse;
class ListFindingsRequest;
class ListFindingsResponse;
class ListSightingsRequest;
class ListSightingsResponse;
class PolicyDraft;
class Publication;
class PublishExceptionsRequest;
class PublishExceptionsResponse;
class PublishPolicyResponse;
class ListPoliciesRequest;
class ListPoliciesResponse;
class CountVerdictsRequest;
class CountVerdictsResponse;
class ListEventsRequest;
class ListEventsResponse;
class ListArtifactsRequest;
class ListArtifactsResponse;
class RevokeAdminTokenRequest;
class RevokeAdminTokenResponse;
class RevokeEndpointRequest;
class RevokeEndpointResponse;
class SetEndpointLabelsRequest;
class SetEndpointLabelsResponse;
class SimulatePolicyResponse;
class WhereRequest;
class WhereResponse;
class WhoAmIRequest;
class WhoAmIResponse;
}  // namespace weighmaster::v1

namespace weighmaster::server::fleet {
class Fleet;
}
namespace weighmaster::server::identity {
class Administrators;
class Authority;
struct Caller;
}  // namespace weighmaster::server::identity
namespace weighmaster::server::ingest {
class Ingest;
}
namespace weighmaster::server::rollout {
class ExceptionRollout;
class Rollout;
class Simulator;
}  // namespace weighmaster::server::rollout

namespace weighmaster::server::api {

class Evidence;

// The administrative API: what each rpc of weighmaster.v1.AdminService does for a caller who may.
// Dispatch, its one user, has found out who calls and that they may.
//
// Loop-owned. Questions run on the reader's executor; replies come on the loop, later, and never
// once it is destroyed. Everything passed in must outlive it. A page token that this server did not
// make is INVALID_ARGUMENT.
class AdminApi {
 public:
  template <typename T>
  using Reply = std::function<void(base::Result<T>)>;

  // What it stands on.
  struct Rooms {
    identity::Authority& authority;
    identity::Administrators& administrators;
    fleet::Fleet& fleet;
    const ingest::Ingest& ingest;
    rollout::Rollout& rollout;
    rollout::ExceptionRollout& exceptions;
    rollout::Simulator& simulator;
    const Evidence& evidence;
    base::Executor& reader;
    store::Queries& queries;
    base::Executor& writer;
    store::Store& store;
  };

  AdminApi(base::Loop& loop, const base::Clock& clock, const Rooms& rooms,
           std::string server_version);
  ~AdminApi() = default;
  AdminApi(const AdminApi&) = delete;
  AdminApi& operator=(const AdminApi&) = delete;

  void GetFleet(const identity::Caller& caller, const v1::GetFleetRequest& request,
                Reply<v1::GetFleetResponse> reply);
  void ListEndpoints(const identity::Caller& caller, const v1::ListEndpointsRequest& request,
                     Reply<v1::ListEndpointsResponse> reply);
  void GetEndpoint(const identity::Caller& caller, const v1::GetEndpointRequest& request,
                   Reply<v1::Endpoint> reply);
  void ListSightings(const identity::Caller& caller, const v1::ListSightingsRequest& request,
                     Reply<v1::ListSightingsResponse> reply);
  void Where(const identity::Caller& caller, const v1::WhereRequest& request,
             Reply<v1::WhereResponse> reply);
  void ListArtifacts(const identity::Caller& caller, const v1::ListArtifactsRequest& request,
                     Reply<v1::ListArtifactsResponse> reply);
  void ListEvents(const identity::Caller& caller, const v1::ListEventsRequest& request,
                  Reply<v1::ListEventsResponse> reply);
  void GetEvidence(const identity::Caller& caller, const v1::GetEvidenceRequest& request,
                   Reply<v1::GetEvidenceResponse> reply);
  void ListBatches(const identity::Caller& caller, const v1::ListBatchesRequest& request,
                   Reply<v1::ListBatchesResponse> reply);
  void CountVerdicts(const identity::Caller& caller, const v1::CountVerdictsRequest& request,
                     Reply<v1::CountVerdictsResponse> reply);
  void ListPolicies(const identity::Caller& caller, const v1::ListPoliciesRequest& request,
                    Reply<v1::ListPoliciesResponse> reply);
  void CreateToken(const identity::Caller& caller, const v1::CreateTokenRequest& request,
                   Reply<v1::CreateTokenResponse> reply);
  // Takes the contents of the request along.
  void PublishPolicy(const identity::Caller& caller, v1::Publication& request,
                     Reply<v1::PublishPolicyResponse> reply);
  // Takes the contents of the request along.
  void SimulatePolicy(const identity::Caller& caller, v1::PolicyDraft& request,
                      Reply<v1::SimulatePolicyResponse> reply);
  void GetPolicy(const identity::Caller& caller, const v1::GetPolicyRequest& request,
                 Reply<v1::GetPolicyResponse> reply);
  void ListExceptions(const identity::Caller& caller, const v1::ListExceptionsRequest& request,
                      Reply<v1::ListExceptionsResponse> reply);
  void GetExceptionSet(const identity::Caller& caller, const v1::GetExceptionSetRequest& request,
                       Reply<v1::PublishedExceptionSet> reply);
  void PublishExceptions(const identity::Caller& caller,
                         const v1::PublishExceptionsRequest& request,
                         Reply<v1::PublishExceptionsResponse> reply);
  void ListFindings(const identity::Caller& caller, const v1::ListFindingsRequest& request,
                    Reply<v1::ListFindingsResponse> reply);
  void GetFinding(const identity::Caller& caller, const v1::GetFindingRequest& request,
                  Reply<v1::GetFindingResponse> reply);
  void UpdateFinding(const identity::Caller& caller, const v1::UpdateFindingRequest& request,
                     Reply<v1::UpdateFindingResponse> reply);
  void ListChanges(const identity::Caller& caller, const v1::ListChangesRequest& request,
                   Reply<v1::ListChangesResponse> reply);
  void GetPolicyPart(const identity::Caller& caller, const v1::GetPolicyPartRequest& request,
                     Reply<v1::GetPolicyPartResponse> reply);
  void GetStatistics(const identity::Caller& caller, const v1::GetStatisticsRequest& request,
                     Reply<v1::GetStatisticsResponse> reply);
  void RevokeEndpoint(const identity::Caller& caller, const v1::RevokeEndpointRequest& request,
                      Reply<v1::RevokeEndpointResponse> reply);

  void SetEndpointLabels(const identity::Caller& caller,
                         const v1::SetEndpointLabelsRequest& request,
                         Reply<v1::SetEndpointLabelsResponse> reply);

  void CreateAdminToken(const identity::Caller& caller, const v1::CreateAdminTokenRequest& request,
                        Reply<v1::CreateAdminTokenResponse> reply);
  void ListAdminTokens(const identity::Caller& caller, const v1::ListAdminTokensRequest& request,
                       Reply<v1::ListAdminTokensResponse> reply);
  void RevokeAdminToken(const identity::Caller& caller, const v1::RevokeAdminTokenRequest& request,
                        Reply<v1::RevokeAdminTokenResponse> reply);
  void ListAuditEntries(const identity::Caller& caller, const v1::ListAuditEntriesRequest& request,
                        Reply<v1::ListAuditEntriesResponse> reply);
  void WhoAmI(const identity::Caller& caller, const v1::WhoAmIRequest& request,
              Reply<v1::WhoAmIResponse> reply);

 private:
  // A question to the store, which is asked in the caller's scope.
  template <typename T>
  using Question = std::function<base::Result<T>(store::Queries&, const store::Scope&)>;
  template <typename T>
  void Answer(const identity::Caller& caller, Reply<T> reply, Question<T> question);
  bool IsConnected(const model::Id& endpoint, std::optional<base::WallTime> moment) const;
  std::uint64_t CountConnected(const std::vector<model::Id>& endpoints) const;

  base::Loop& loop_;
  const base::Clock& clock_;
  const Rooms rooms_;
  const std::string server_version_;
  const base::WallTime started_;
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();
};

}  // namespace weighmaster::server::api
