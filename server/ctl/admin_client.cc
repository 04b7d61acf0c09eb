#include "server/ctl/admin_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "policy/base/limits.h"
#include "policy/base/rate_limit.h"
#include "third_party/grpc/log.h"
#include "third_party/openssl/handshake.h"
#include "weighmaster/v1/admin.grpc.pb.h"

namespace weighmaster::server::ctl {
namespace {

namespace limits = base::limits;

std::shared_ptr<grpc::Channel> MakeChannel(const Profile& profile) {
  grpc_adapter::TakeOverLog();
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = profile.ca_pem;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxAdminAnswerBytes));
  return grpc::CreateCustomChannel(profile.address, grpc::SslCredentials(tls), arguments);
}

// What a person has to know when a call did not reach the server.
base::Error ExplainUnreachable(const Profile& profile, const std::string& grpc_message) {
  const auto diagnosis =
      openssl::DiagnoseTls(profile.address, limits::kConnectTimeout, profile.ca_pem);
  if (!diagnosis.has_value()) return diagnosis.error();
  if (!diagnosis->verify_error.empty()) {
    return base::FailedPrecondition(
        profile.address + " is not the server that you logged in to: " + diagnosis->verify_error);
  }
  return base::Unavailable(profile.address + ": " + grpc_message);
}

base::Error FromStatus(const Profile& profile, const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return ExplainUnreachable(profile, status.error_message());
    case grpc::StatusCode::UNAUTHENTICATED:
      return base::Unauthenticated(status.error_message() +
                                   "; run \"weighctl login\" with a token that is good");
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return base::Unavailable(profile.address + " did not answer in time; try again");
    default:
      return {static_cast<base::ErrorCode>(status.error_code()), status.error_message()};
  }
}

void Prepare(grpc::ClientContext& context, const Profile& profile,
             std::chrono::milliseconds timeout) {
  context.AddMetadata("authorization", "Bearer " + profile.token);
  context.set_deadline(std::chrono::system_clock::now() + timeout);
}

}  // namespace

struct AdminClient::Connection {
  std::unique_ptr<v1::AdminService::Stub> stub;
  // Half of the burst that the server grants a token: calls do not arrive as evenly as they leave.
  base::RateLimit pace{limits::kAdminCallInterval, limits::kAdminCallBurst / 2, 1};

  void WaitForTurn() {
    while (true) {
      const auto now = std::chrono::steady_clock::now().time_since_epoch();
      const base::Duration wait = pace.Take("", std::chrono::duration_cast<base::Duration>(now));
      if (wait == base::Duration::zero()) return;
      std::this_thread::sleep_for(wait);
    }
  }
};

AdminClient::AdminClient(Profile profile)
    : profile_(std::move(profile)),
      connection_(new Connection{.stub = v1::AdminService::NewStub(MakeChannel(profile_))}) {}

AdminClient::~AdminClient() = default;

template <typename Method, typename Request, typename Response>
base::Status AdminClient::Call(Method method, const Request& in, Response& out) {
  connection_->WaitForTurn();
  grpc::ClientContext context;
  Prepare(context, profile_, limits::kAdminCallTimeout);
  const grpc::Status status = ((*connection_->stub).*method)(&context, in, &out);
  if (!status.ok()) return FromStatus(profile_, status);
  return {};
}

template <typename Chunk, typename Open, typename Response>
base::Status AdminClient::CallInChunks(Open open, const std::string& request, Response& out) {
  grpc::ClientContext context;
  Prepare(context, profile_, limits::kMaxPublicationTime);
  const auto writer = ((*connection_->stub).*open)(&context, &out);
  Chunk chunk;
  bool taken = true;  // the server's answer says why not
  for (std::size_t at = 0; taken && at < request.size(); at += limits::kPublicationChunkBytes) {
    chunk.set_chunk(request.substr(at, limits::kPublicationChunkBytes));
    taken = writer->Write(chunk);
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return FromStatus(profile_, status);
  return {};
}

using Stub = v1::AdminService::Stub;

base::Status AdminClient::GetFleet(const v1::GetFleetRequest& in, v1::GetFleetResponse& out) {
  WM_RETURN_IF_ERROR(Call(&Stub::GetFleet, in, out));
  if (!profile_.fleet_id.empty() && out.fleet_id() != profile_.fleet_id) {
    return base::FailedPrecondition(profile_.address + " now serves the fleet " + out.fleet_id() +
                                    ", not " + profile_.fleet_id +
                                    "; log in again if that is meant");
  }
  return {};
}
base::Status AdminClient::ListEndpoints(const v1::ListEndpointsRequest& in,
                                        v1::ListEndpointsResponse& out) {
  return Call(&Stub::ListEndpoints, in, out);
}
base::Status AdminClient::GetEndpoint(const v1::GetEndpointRequest& in, v1::Endpoint& out) {
  return Call(&Stub::GetEndpoint, in, out);
}
base::Status AdminClient::ListSightings(const v1::ListSightingsRequest& in,
                                        v1::ListSightingsResponse& out) {
  return Call(&Stub::ListSightings, in, out);
}
base::Status AdminClient::Where(const v1::WhereRequest& in, v1::WhereResponse& out) {
  return Call(&Stub::Where, in, out);
}
base::Status AdminClient::ListArtifacts(const v1::ListArtifactsRequest& in,
                                        v1::ListArtifactsResponse& out) {
  return Call(&Stub::ListArtifacts, in, out);
}
base::Status AdminClient::ListEvents(const v1::ListEventsRequest& in, v1::ListEventsResponse& out) {
  return Call(&Stub::ListEvents, in, out);
}
base::Status AdminClient::GetEvidence(const v1::GetEvidenceRequest& in,
                                      v1::GetEvidenceResponse& out) {
  return Call(&Stub::GetEvidence, in, out);
}
base::Status AdminClient::ListBatches(const v1::ListBatchesRequest& in,
                                      v1::ListBatchesResponse& out) {
  return Call(&Stub::ListBatches, in, out);
}
base::Status AdminClient::CountVerdicts(const v1::CountVerdictsRequest& in,
                                        v1::CountVerdictsResponse& out) {
  return Call(&Stub::CountVerdicts, in, out);
}
base::Status AdminClient::ListPolicies(const v1::ListPoliciesRequest& in,
                                       v1::ListPoliciesResponse& out) {
  return Call(&Stub::ListPolicies, in, out);
}
base::Status AdminClient::CreateToken(const v1::CreateTokenRequest& in,
                                      v1::CreateTokenResponse& out) {
  return Call(&Stub::CreateToken, in, out);
}
base::Status AdminClient::PublishPolicy(const v1::Publication& in, v1::PublishPolicyResponse& out) {
  return CallInChunks<v1::PublishPolicyRequest>(&Stub::PublishPolicy, in.SerializeAsString(), out);
}
base::Status AdminClient::SimulatePolicy(const v1::PolicyDraft& in,
                                         v1::SimulatePolicyResponse& out) {
  return CallInChunks<v1::SimulatePolicyRequest>(&Stub::SimulatePolicy, in.SerializeAsString(),
                                                 out);
}
base::Status AdminClient::GetPolicy(const v1::GetPolicyRequest& in, v1::GetPolicyResponse& out) {
  return Call(&Stub::GetPolicy, in, out);
}
base::Status AdminClient::GetExceptionSet(const v1::GetExceptionSetRequest& in,
                                          v1::PublishedExceptionSet& out) {
  return Call(&Stub::GetExceptionSet, in, out);
}
base::Status AdminClient::ListExceptions(const v1::ListExceptionsRequest& in,
                                         v1::ListExceptionsResponse& out) {
  return Call(&Stub::ListExceptions, in, out);
}
base::Status AdminClient::PublishExceptions(const v1::PublishExceptionsRequest& in,
                                            v1::PublishExceptionsResponse& out) {
  return Call(&Stub::PublishExceptions, in, out);
}
base::Status AdminClient::ListFindings(const v1::ListFindingsRequest& in,
                                       v1::ListFindingsResponse& out) {
  return Call(&Stub::ListFindings, in, out);
}
base::Status AdminClient::GetFinding(const v1::GetFindingRequest& in, v1::GetFindingResponse& out) {
  return Call(&Stub::GetFinding, in, out);
}
base::Status AdminClient::UpdateFinding(const v1::UpdateFindingRequest& in,
                                        v1::UpdateFindingResponse& out) {
  return Call(&Stub::UpdateFinding, in, out);
}
base::Status AdminClient::ListChanges(const v1::ListChangesRequest& in,
                                      v1::ListChangesResponse& out) {
  return Call(&Stub::ListChanges, in, out);
}
base::Status AdminClient::GetPolicyPart(const v1::GetPolicyPartRequest& in,
                                        v1::GetPolicyPartResponse& out) {
  return Call(&Stub::GetPolicyPart, in, out);
}
base::Status AdminClient::GetStatistics(const v1::GetStatisticsRequest& in,
                                        v1::GetStatisticsResponse& out) {
  return Call(&Stub::GetStatistics, in, out);
}
base::Status AdminClient::SetEndpointLabels(const v1::SetEndpointLabelsRequest& in,
                                            v1::SetEndpointLabelsResponse& out) {
  return Call(&Stub::SetEndpointLabels, in, out);
}

base::Status AdminClient::RevokeEndpoint(const v1::RevokeEndpointRequest& in,
                                         v1::RevokeEndpointResponse& out) {
  return Call(&Stub::RevokeEndpoint, in, out);
}
base::Status AdminClient::CreateAdminToken(const v1::CreateAdminTokenRequest& in,
                                           v1::CreateAdminTokenResponse& out) {
  return Call(&Stub::CreateAdminToken, in, out);
}
base::Status AdminClient::ListAdminTokens(const v1::ListAdminTokensRequest& in,
                                          v1::ListAdminTokensResponse& out) {
  return Call(&Stub::ListAdminTokens, in, out);
}
base::Status AdminClient::RevokeAdminToken(const v1::RevokeAdminTokenRequest& in,
                                           v1::RevokeAdminTokenResponse& out) {
  return Call(&Stub::RevokeAdminToken, in, out);
}
base::Status AdminClient::ListAuditEntries(const v1::ListAuditEntriesRequest& in,
                                           v1::ListAuditEntriesResponse& out) {
  return Call(&Stub::ListAuditEntries, in, out);
}
base::Status AdminClient::WhoAmI(const v1::WhoAmIRequest& in, v1::WhoAmIResponse& out) {
  return Call(&Stub::WhoAmI, in, out);
}

}  // namespace weighmaster::server::ctl
