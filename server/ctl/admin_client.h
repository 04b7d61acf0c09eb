#pragma once

#include <memory>
#include <string>

#include "policy/base/result.h"
#include "server/ctl/profile.h"

namespace weighmaster::v1 {
class CreateAdminTokenRequest;
class CreateAdminTokenResponse;
class CreateTokenRequest;
class CreateTokenResponse;
class Endpoint;
class GetEndpointRequest;
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
class ListEndpointsRequest;
class ListEndpointsResponse;
class PublishedExceptionSet;
class GetExceptionSetRequest;
class ListExceptionsRequest;
class ListExceptionsResponse;
class ListFindingsRequest;
class ListFindingsResponse;
class ListSightingsRequest;
class ListSightingsResponse;
class ListArtifactsRequest;
class ListArtifactsResponse;
class ListEventsRequest;
class ListEventsResponse;
class GetEvidenceRequest;
class GetEvidenceResponse;
class ListBatchesRequest;
class ListBatchesResponse;
class CountVerdictsRequest;
class CountVerdictsResponse;
class ListPoliciesRequest;
class ListPoliciesResponse;
class PolicyDraft;
class Publication;
class PublishExceptionsRequest;
class PublishExceptionsResponse;
class PublishPolicyResponse;
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

namespace weighmaster::server::ctl {

// The administrative API of proto/weighmaster/v1/admin.proto over gRPC and TLS, one blocking call a
// method. Trusts the profile's CA alone. An error is one line that says what to do; where the
// server can't be reached it comes from a diagnostic handshake, because gRPC can't tell. A command
// that asks very often waits between its calls, so that the server never refuses it for that.
class AdminClient {
 public:
  explicit AdminClient(Profile profile);
  ~AdminClient();
  AdminClient(const AdminClient&) = delete;
  AdminClient& operator=(const AdminClient&) = delete;

  base::Status GetFleet(const v1::GetFleetRequest& in, v1::GetFleetResponse& out);
  base::Status ListEndpoints(const v1::ListEndpointsRequest& in, v1::ListEndpointsResponse& out);
  base::Status GetEndpoint(const v1::GetEndpointRequest& in, v1::Endpoint& out);
  base::Status ListSightings(const v1::ListSightingsRequest& in, v1::ListSightingsResponse& out);
  base::Status Where(const v1::WhereRequest& in, v1::WhereResponse& out);
  base::Status ListArtifacts(const v1::ListArtifactsRequest& in, v1::ListArtifactsResponse& out);
  base::Status ListEvents(const v1::ListEventsRequest& in, v1::ListEventsResponse& out);
  base::Status GetEvidence(const v1::GetEvidenceRequest& in, v1::GetEvidenceResponse& out);
  base::Status ListBatches(const v1::ListBatchesRequest& in, v1::ListBatchesResponse& out);
  base::Status CountVerdicts(const v1::CountVerdictsRequest& in, v1::CountVerdictsResponse& out);
  base::Status ListPolicies(const v1::ListPoliciesRequest& in, v1::ListPoliciesResponse& out);
  base::Status CreateToken(const v1::CreateTokenRequest& in, v1::CreateTokenResponse& out);
  base::Status PublishPolicy(const v1::Publication& in, v1::PublishPolicyResponse& out);
  base::Status SimulatePolicy(const v1::PolicyDraft& in, v1::SimulatePolicyResponse& out);
  base::Status GetPolicy(const v1::GetPolicyRequest& in, v1::GetPolicyResponse& out);
  base::Status GetExceptionSet(const v1::GetExceptionSetRequest& in,
                               v1::PublishedExceptionSet& out);
  base::Status ListExceptions(const v1::ListExceptionsRequest& in, v1::ListExceptionsResponse& out);
  base::Status PublishExceptions(const v1::PublishExceptionsRequest& in,
                                 v1::PublishExceptionsResponse& out);
  base::Status ListFindings(const v1::ListFindingsRequest& in, v1::ListFindingsResponse& out);
  base::Status GetFinding(const v1::GetFindingRequest& in, v1::GetFindingResponse& out);
  base::Status UpdateFinding(const v1::UpdateFindingRequest& in, v1::UpdateFindingResponse& out);
  base::Status ListChanges(const v1::ListChangesRequest& in, v1::ListChangesResponse& out);
  base::Status GetPolicyPart(const v1::GetPolicyPartRequest& in, v1::GetPolicyPartResponse& out);
  base::Status GetStatistics(const v1::GetStatisticsRequest& in, v1::GetStatisticsResponse& out);
  base::Status SetEndpointLabels(const v1::SetEndpointLabelsRequest& in,
                                 v1::SetEndpointLabelsResponse& out);
  base::Status RevokeEndpoint(const v1::RevokeEndpointRequest& in, v1::RevokeEndpointResponse& out);
  base::Status CreateAdminToken(const v1::CreateAdminTokenRequest& in,
                                v1::CreateAdminTokenResponse& out);
  base::Status ListAdminTokens(const v1::ListAdminTokensRequest& in,
                               v1::ListAdminTokensResponse& out);
  base::Status RevokeAdminToken(const v1::RevokeAdminTokenRequest& in,
                                v1::RevokeAdminTokenResponse& out);
  base::Status ListAuditEntries(const v1::ListAuditEntriesRequest& in,
                                v1::ListAuditEntriesResponse& out);
  base::Status WhoAmI(const v1::WhoAmIRequest& in, v1::WhoAmIResponse& out);

 private:
  struct Connection;
  template <typename Method, typename Request, typename Response>
  base::Status Call(Method method, const Request& in, Response& out);
  template <typename Chunk, typename Open, typename Response>
  base::Status CallInChunks(Open open, const std::string& request, Response& out);

  const Profile profile_;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace weighmaster::server::ctl
