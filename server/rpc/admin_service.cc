#include "server/rpc/admin_service.h"

#include <string>
#include <utility>

#include "policy/base/limits.h"

namespace weighmaster::server::rpc {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;
using api::AdminApi;

namespace {

std::string AuthorizationOf(const Context& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  if (found == metadata.end()) return "";
  return {found->second.data(), found->second.size()};
}

}  // namespace

AdminService::AdminService(base::Loop& loop, AdminApi& api)
    : api_(api), calls_(loop, base::limits::kMaxAdminCallsWaiting) {}

template <typename Request, typename Response>
Reactor* AdminService::Carry(Context& context, const Request& request, Response& response,
                             void (AdminApi::*method)(const std::string&, const Request&,
                                                      AdminApi::Reply<Response>)) {
  return calls_.Begin(context, [this, &request, &response, method,
                                authorization = AuthorizationOf(context)](const auto& call) {
    (api_.*method)(authorization, request, [call, &response](base::Result<Response> result) {
      if (!call->answered()) call->Answer(response, std::move(result));
    });
  });
}

Reactor* AdminService::GetFleet(Context* context, const v1::GetFleetRequest* request,
                                v1::GetFleetResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::GetFleet);
}

Reactor* AdminService::ListEndpoints(Context* context, const v1::ListEndpointsRequest* request,
                                     v1::ListEndpointsResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::ListEndpoints);
}

Reactor* AdminService::ListSightings(Context* context, const v1::ListSightingsRequest* request,
                                     v1::ListSightingsResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::ListSightings);
}

Reactor* AdminService::Where(Context* context, const v1::WhereRequest* request,
                             v1::WhereResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::Where);
}

Reactor* AdminService::CreateToken(Context* context, const v1::CreateTokenRequest* request,
                                   v1::CreateTokenResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::CreateToken);
}

Reactor* AdminService::PublishPolicy(Context* context, const v1::PublishPolicyRequest* request,
                                     v1::PublishPolicyResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::PublishPolicy);
}

Reactor* AdminService::GetPolicy(Context* context, const v1::GetPolicyRequest* request,
                                 v1::GetPolicyResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::GetPolicy);
}

Reactor* AdminService::ListFindings(Context* context, const v1::ListFindingsRequest* request,
                                    v1::ListFindingsResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::ListFindings);
}

Reactor* AdminService::RevokeEndpoint(Context* context, const v1::RevokeEndpointRequest* request,
                                      v1::RevokeEndpointResponse* response) {
  return Carry(*context, *request, *response, &AdminApi::RevokeEndpoint);
}

}  // namespace weighmaster::server::rpc
