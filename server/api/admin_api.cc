#include "server/api/admin_api.h"

#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "server/api/admin_values.h"
#include "server/fleet/fleet.h"
#include "server/identity/authority.h"
#include "server/rollout/rollout.h"
#include "server/store/ask.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using base::Result;

// Takes the contents along.
base::Result<rollout::Publication> ReadPublication(v1::Publication& request) {
  rollout::Publication publication;
  WM_ASSIGN_OR_RETURN(publication.document, wire::FromProto(request.bundle()));
  if (static_cast<std::size_t>(request.parts_size()) > base::limits::kMaxBundleParts) {
    return base::InvalidArgument("a policy has at most " +
                                 std::to_string(base::limits::kMaxBundleParts) + " parts");
  }
  for (v1::Part& part : *request.mutable_parts()) {
    store::BundlePart& out = publication.parts.emplace_back();
    WM_ASSIGN_OR_RETURN(out.reference.sha256,
                        model::Sha256FromBytes(base::AsBytes(part.reference().sha256())));
    out.reference.kind = static_cast<wire::PartKind>(part.reference().kind());
    out.content = std::move(*part.mutable_content());
  }
  publication.text = std::move(*request.mutable_document());
  return publication;
}

}  // namespace

AdminApi::AdminApi(base::Loop& loop, identity::Authority& authority, fleet::Fleet& fleet,
                   rollout::Rollout& rollout, base::Executor& reader, store::Queries& queries,
                   std::string server_version)
    : loop_(loop),
      authority_(authority),
      fleet_(fleet),
      rollout_(rollout),
      reader_(reader),
      queries_(queries),
      server_version_(std::move(server_version)) {}

template <typename T>
void AdminApi::Authorised(const std::string& authorization, Reply<T> reply,
                          std::function<void(Reply<T>)> then) {
  authority_.Authenticate(authorization,
                          [alive = std::weak_ptr<const void>(alive_), reply = std::move(reply),
                           then = std::move(then)](Result<std::string> name) {
                            if (alive.lock() == nullptr) return;
                            if (!name.has_value()) return reply(std::move(name).error());
                            then(reply);
                          });
}

template <typename T>
void AdminApi::Answer(const std::string& authorization, Reply<T> reply,
                      std::function<Result<T>(store::Queries&)> question) {
  Authorised<T>(authorization, std::move(reply),
                [this, question = std::move(question)](const Reply<T>& answer) {
                  store::Ask(
                      reader_, loop_, alive_,
                      [&queries = queries_, question] { return question(queries); }, answer);
                });
}

void AdminApi::GetFleet(const std::string& authorization, const v1::GetFleetRequest&,
                        Reply<v1::GetFleetResponse> reply) {
  Answer<v1::GetFleetResponse>(
      authorization, std::move(reply),
      [version = server_version_](store::Queries& queries) -> Result<v1::GetFleetResponse> {
        WM_ASSIGN_OR_RETURN(const store::FleetRecord fleet, queries.Fleet());
        WM_ASSIGN_OR_RETURN(const auto roots, queries.Roots());
        v1::GetFleetResponse response;
        response.set_fleet_id(fleet.fleet_id);
        if (!roots.empty()) wire::ToProto(roots.back(), *response.mutable_root());
        response.set_newest_policy_version(fleet.newest_policy);
        response.set_floor(fleet.floor);
        response.set_server_version(version);
        return response;
      });
}

void AdminApi::ListEndpoints(const std::string& authorization,
                             const v1::ListEndpointsRequest& request,
                             Reply<v1::ListEndpointsResponse> reply) {
  using Rows = store::Page<store::EndpointRow>;
  // Who is connected is the loop's to say, so the answer is put together there.
  Authorised<v1::ListEndpointsResponse>(
      authorization, std::move(reply),
      [this, request](const Reply<v1::ListEndpointsResponse>& answer) {
        store::Ask(
            reader_, loop_, alive_,
            [&queries = queries_, request]() -> Result<Rows> {
              WM_ASSIGN_OR_RETURN(const store::PageQuery page, ParsePage(request.page()));
              return queries.ListEndpoints(page);
            },
            [this, answer](Result<Rows> rows) {
              if (!rows.has_value()) return answer(std::move(rows).error());
              v1::ListEndpointsResponse response;
              for (const store::EndpointRow& row : rows->rows) {
                ToProto(row, fleet_.IsConnected(row.id), *response.add_endpoints());
              }
              response.set_next_page_token(PageToken(rows->next));
              response.set_total(rows->total);
              answer(std::move(response));
            });
      });
}

void AdminApi::GetEndpoint(const std::string& authorization, const v1::GetEndpointRequest& request,
                           Reply<v1::Endpoint> reply) {
  Authorised<v1::Endpoint>(
      authorization, std::move(reply), [this, request](const Reply<v1::Endpoint>& answer) {
        store::Ask(
            reader_, loop_, alive_,
            [&queries = queries_, request]() -> Result<store::EndpointRow> {
              WM_ASSIGN_OR_RETURN(const model::Id id, model::ParseId(request.endpoint_id()));
              return queries.GetEndpoint(id);
            },
            [this, answer](Result<store::EndpointRow> row) {
              if (!row.has_value()) return answer(std::move(row).error());
              v1::Endpoint response;
              ToProto(*row, fleet_.IsConnected(row->id), response);
              answer(std::move(response));
            });
      });
}

void AdminApi::ListSightings(const std::string& authorization,
                             const v1::ListSightingsRequest& request,
                             Reply<v1::ListSightingsResponse> reply) {
  Answer<v1::ListSightingsResponse>(
      authorization, std::move(reply),
      [request](store::Queries& queries) -> Result<v1::ListSightingsResponse> {
        store::SightingQuery query;
        if (!request.endpoint_id().empty()) {
          WM_ASSIGN_OR_RETURN(query.endpoint, model::ParseId(request.endpoint_id()));
        }
        query.include_gone = request.include_gone();
        WM_ASSIGN_OR_RETURN(query.page, ParsePage(request.page()));
        WM_ASSIGN_OR_RETURN(const store::SightingPage page, queries.ListSightings(query));
        v1::ListSightingsResponse response;
        for (const store::SightingRow& row : page.rows) ToProto(row, *response.add_sightings());
        response.set_next_page_token(PageToken(page.next));
        response.set_total(page.total);
        ToProto(page.coverage, *response.mutable_coverage());
        return response;
      });
}

void AdminApi::Where(const std::string& authorization, const v1::WhereRequest& request,
                     Reply<v1::WhereResponse> reply) {
  Answer<v1::WhereResponse>(
      authorization, std::move(reply),
      [request](store::Queries& queries) -> Result<v1::WhereResponse> {
        store::SightingQuery query;
        WM_ASSIGN_OR_RETURN(query.sha256, model::ParseSha256(request.sha256()));
        query.include_gone = request.include_gone();
        WM_ASSIGN_OR_RETURN(query.page, ParsePage(request.page()));
        WM_ASSIGN_OR_RETURN(const store::SightingPage page, queries.ListSightings(query));
        v1::WhereResponse response;
        for (const store::SightingRow& row : page.rows) ToProto(row, *response.add_sightings());
        response.set_next_page_token(PageToken(page.next));
        response.set_total(page.total);
        response.set_endpoints(page.endpoints);
        ToProto(page.coverage, *response.mutable_coverage());
        return response;
      });
}

void AdminApi::CreateToken(const std::string& authorization, const v1::CreateTokenRequest& request,
                           Reply<v1::CreateTokenResponse> reply) {
  Authorised<v1::CreateTokenResponse>(
      authorization, std::move(reply),
      [this, request](const Reply<v1::CreateTokenResponse>& answer) {
        // Compared in milliseconds: the foreign number may not fit a Duration.
        constexpr std::chrono::milliseconds kLongest = base::limits::kMaxTokenValidity;
        if (request.valid_for_ms() <= 0 || request.valid_for_ms() > kLongest.count()) {
          return answer(base::InvalidArgument("a token is valid for at most 90 days"));
        }
        authority_.CreateToken(request.uses(), std::chrono::milliseconds(request.valid_for_ms()),
                               request.comment(),
                               [answer](Result<identity::NewEnrolmentToken> token) {
                                 if (!token.has_value()) return answer(std::move(token).error());
                                 v1::CreateTokenResponse response;
                                 response.set_token(token->text);
                                 response.set_expires_time_us(base::ToMicroseconds(token->expires));
                                 answer(std::move(response));
                               });
      });
}

void AdminApi::AdmitPublication(const std::string& authorization, Reply<PublicationPermit> reply) {
  Authorised<PublicationPermit>(
      authorization, std::move(reply), [this](const Reply<PublicationPermit>& answer) {
        if (!publication_.expired()) {
          return answer(base::ResourceExhausted(
              "another policy is being published; try again when that is done"));
        }
        PublicationPermit permit = std::make_shared<int>();
        publication_ = permit;
        answer(std::move(permit));
      });
}

void AdminApi::PublishPolicy(PublicationPermit permit, v1::Publication publication,
                             Reply<v1::PublishPolicyResponse> reply) {
  WM_CHECK(permit != nullptr);
  auto read = ReadPublication(publication);
  if (!read.has_value()) return reply(std::move(read).error());
  rollout_.Publish(
      *std::move(read), [this, permit = std::move(permit), reply = std::move(reply)](
                            Result<std::shared_ptr<const rollout::PublishedPolicy>> published) {
        publication_
            .reset();  // who publishes again on this answer is not to find itself in the way
        if (!published.has_value()) return reply(std::move(published).error());
        v1::PublishPolicyResponse response;
        response.set_version((*published)->manifest.version);
        response.set_endpoints_offered(fleet_.connected());
        reply(std::move(response));
      });
}

void AdminApi::GetPolicy(const std::string& authorization, const v1::GetPolicyRequest& request,
                         Reply<v1::GetPolicyResponse> reply) {
  Answer<v1::GetPolicyResponse>(
      authorization, std::move(reply),
      [version = request.version()](store::Queries& queries) -> Result<v1::GetPolicyResponse> {
        WM_ASSIGN_OR_RETURN(const store::StoredBundle bundle, queries.FindBundle(version));
        v1::GetPolicyResponse response;
        wire::ToProto(bundle.document, *response.mutable_bundle());
        response.set_document(bundle.text);
        response.set_version(bundle.version);
        response.set_published_time_us(base::ToMicroseconds(bundle.published));
        response.set_endpoints_in_force(bundle.endpoints_in_force);
        response.set_endpoints_total(bundle.endpoints_total);
        return response;
      });
}

void AdminApi::ListFindings(const std::string& authorization,
                            const v1::ListFindingsRequest& request,
                            Reply<v1::ListFindingsResponse> reply) {
  Answer<v1::ListFindingsResponse>(
      authorization, std::move(reply),
      [request](store::Queries& queries) -> Result<v1::ListFindingsResponse> {
        WM_ASSIGN_OR_RETURN(const store::PageQuery query, ParsePage(request.page()));
        WM_ASSIGN_OR_RETURN(const auto page,
                            queries.ListFindings(request.include_resolved(), query));
        v1::ListFindingsResponse response;
        for (const store::FindingRow& row : page.rows) ToProto(row, *response.add_findings());
        response.set_next_page_token(PageToken(page.next));
        response.set_total(page.total);
        return response;
      });
}

void AdminApi::RevokeEndpoint(const std::string& authorization,
                              const v1::RevokeEndpointRequest& request,
                              Reply<v1::RevokeEndpointResponse> reply) {
  Authorised<v1::RevokeEndpointResponse>(
      authorization, std::move(reply),
      [this, request](const Reply<v1::RevokeEndpointResponse>& answer) {
        const auto endpoint = model::ParseId(request.endpoint_id());
        if (!endpoint.has_value()) return answer(endpoint.error());
        fleet_.Revoke(*endpoint, request.reason(), [answer](Result<bool> was_connected) {
          if (!was_connected.has_value()) return answer(std::move(was_connected).error());
          v1::RevokeEndpointResponse response;
          response.set_was_connected(*was_connected);
          answer(std::move(response));
        });
      });
}

}  // namespace weighmaster::server::api
