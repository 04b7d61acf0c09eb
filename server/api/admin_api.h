#pragma once

#include <functional>
#include <memory>
#include <string>

#include "policy/base/loop.h"
#include "policy/base/result.h"
#include "server/store/store.h"

namespace weighmaster::v1 {
class CreateTokenRequest;
class CreateTokenResponse;
class Endpoint;
class GetEndpointRequest;
class GetFleetRequest;
class GetFleetResponse;
class GetPolicyRequest;
class GetPolicyResponse;
class ListEndpointsRequest;
class ListEndpointsResponse;
class ListFindingsRequest;
class ListFindingsResponse;
class ListSightingsRequest;
class ListSightingsResponse;
class Publication;
class PublishPolicyResponse;
class RevokeEndpointRequest;
class RevokeEndpointResponse;
class WhereRequest;
class WhereResponse;
}  // namespace weighmaster::v1

namespace weighmaster::server::fleet {
class Fleet;
}
namespace weighmaster::server::identity {
class Authority;
}
namespace weighmaster::server::rollout {
class Rollout;
}

namespace weighmaster::server::api {

// The administrative API, one method for each rpc of weighmaster.v1.AdminService, whatever carries
// it. Every method checks the caller's token first: `authorization` is the metadata's value
// ("Bearer wma1.…", "" if there is none). Nothing else in a request says who the caller is. A
// publication, the one large request, is in two calls, so that none of it is read before.
//
// Loop-owned. Questions run on the reader's executor; replies come on the loop, later, and never
// once it is destroyed. Everything passed in must outlive it. A page token that this server did not
// make is INVALID_ARGUMENT.
class AdminApi {
 public:
  template <typename T>
  using Reply = std::function<void(base::Result<T>)>;

  AdminApi(base::Loop& loop, identity::Authority& authority, fleet::Fleet& fleet,
           rollout::Rollout& rollout, base::Executor& reader, store::Queries& queries,
           std::string server_version);
  ~AdminApi() = default;
  AdminApi(const AdminApi&) = delete;
  AdminApi& operator=(const AdminApi&) = delete;

  void GetFleet(const std::string& authorization, const v1::GetFleetRequest& request,
                Reply<v1::GetFleetResponse> reply);
  void ListEndpoints(const std::string& authorization, const v1::ListEndpointsRequest& request,
                     Reply<v1::ListEndpointsResponse> reply);
  void GetEndpoint(const std::string& authorization, const v1::GetEndpointRequest& request,
                   Reply<v1::Endpoint> reply);
  void ListSightings(const std::string& authorization, const v1::ListSightingsRequest& request,
                     Reply<v1::ListSightingsResponse> reply);
  void Where(const std::string& authorization, const v1::WhereRequest& request,
             Reply<v1::WhereResponse> reply);
  void CreateToken(const std::string& authorization, const v1::CreateTokenRequest& request,
                   Reply<v1::CreateTokenResponse> reply);
  // Held by whoever reads a publication, until it is answered. There is one at a time, which bounds
  // what publications hold in memory. Released on any thread.
  using PublicationPermit = std::shared_ptr<const void>;
  // RESOURCE_EXHAUSTED while somebody else has it.
  void AdmitPublication(const std::string& authorization, Reply<PublicationPermit> reply);
  void PublishPolicy(PublicationPermit permit, v1::Publication publication,
                     Reply<v1::PublishPolicyResponse> reply);
  void GetPolicy(const std::string& authorization, const v1::GetPolicyRequest& request,
                 Reply<v1::GetPolicyResponse> reply);
  void ListFindings(const std::string& authorization, const v1::ListFindingsRequest& request,
                    Reply<v1::ListFindingsResponse> reply);
  void RevokeEndpoint(const std::string& authorization, const v1::RevokeEndpointRequest& request,
                      Reply<v1::RevokeEndpointResponse> reply);

 private:
  // `then` runs when the caller is an administrator; otherwise the reply gets the reason.
  template <typename T>
  void Authorised(const std::string& authorization, Reply<T> reply,
                  std::function<void(Reply<T>)> then);
  // An authorised question to the store.
  template <typename T>
  void Answer(const std::string& authorization, Reply<T> reply,
              std::function<base::Result<T>(store::Queries&)> question);

  base::Loop& loop_;
  identity::Authority& authority_;
  fleet::Fleet& fleet_;
  rollout::Rollout& rollout_;
  base::Executor& reader_;
  store::Queries& queries_;
  const std::string server_version_;
  std::weak_ptr<const void> publication_;  // the permit that was given last
  const std::shared_ptr<const void> alive_ = std::make_shared<int>();
};

}  // namespace weighmaster::server::api
