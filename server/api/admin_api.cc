#include "server/api/admin_api.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "policy/base/limits.h"
#include "server/api/admin_values.h"
#include "server/api/evidence.h"
#include "server/api/list_question.h"
#include "server/fleet/fleet.h"
#include "server/identity/administrators.h"
#include "server/identity/authority.h"
#include "server/identity/permissions.h"
#include "server/ingest/ingest.h"
#include "server/rollout/exception_rollout.h"
#include "server/rollout/rollout.h"
#include "server/rollout/simulator.h"
#include "server/store/ask.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using base::Result;

// Takes the contents along.
template <typename Request>
Result<std::vector<store::BundlePart>> ReadParts(Request& request) {
  if (static_cast<std::size_t>(request.parts_size()) > base::limits::kMaxBundleParts) {
    return base::InvalidArgument("a policy has at most " +
                                 std::to_string(base::limits::kMaxBundleParts) + " parts");
  }
  std::vector<store::BundlePart> parts;
  for (v1::Part& part : *request.mutable_parts()) {
    store::BundlePart& out = parts.emplace_back();
    WM_ASSIGN_OR_RETURN(out.reference.sha256,
                        model::Sha256FromBytes(base::AsBytes(part.reference().sha256())));
    out.reference.kind = static_cast<wire::PartKind>(part.reference().kind());
    out.content = std::move(*part.mutable_content());
  }
  return parts;
}

Result<rollout::Publication> ReadPublication(v1::Publication& request) {
  rollout::Publication publication;
  WM_ASSIGN_OR_RETURN(publication.document, wire::FromProto(request.bundle()));
  WM_ASSIGN_OR_RETURN(publication.parts, ReadParts(request));
  publication.text = std::move(*request.mutable_document());
  return publication;
}

store::Actor ActorOf(const identity::Caller& caller) {
  return {caller.token.id, caller.token.name};
}

Result<std::uint64_t> ReadPosition(const std::string& text) {
  std::uint64_t position = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, position);
  if (error == std::errc() && last == end && text.size() <= 18) return position;
  return base::InvalidArgument("that is no position of this list");
}

// What an administrator asks to do with a finding.
Result<store::FindingComment> ReadComment(const identity::Caller& caller,
                                          const v1::UpdateFindingRequest& request) {
  store::FindingComment comment;
  comment.actor = ActorOf(caller);
  comment.text = request.comment();
  if (comment.text.size() > base::limits::kMaxFindingCommentBytes) {
    return base::InvalidArgument("a comment has at most " +
                                 std::to_string(base::limits::kMaxFindingCommentBytes) + " bytes");
  }
  switch (request.state()) {
    case v1::FINDING_STATE_UNSPECIFIED:
      if (comment.text.empty()) return base::InvalidArgument("neither a state nor a comment");
      return comment;
    case v1::FINDING_STATE_OPEN:
    case v1::FINDING_STATE_ACKNOWLEDGED:
    case v1::FINDING_STATE_DISMISSED:
      comment.state = static_cast<store::FindingState>(request.state());
      return comment;
    default:
      return base::InvalidArgument("a finding becomes open, acknowledged or dismissed");
  }
}

template <typename Request>
Result<store::Labels> ReadLabels(const Request& request) {
  const std::vector<std::string_view> words(request.labels().begin(), request.labels().end());
  return store::ParseLabels(words);
}

template <typename Request>
Result<store::SightingQuery> ReadSightingQuery(const Request& request,
                                               const ListQuestion& question) {
  store::SightingQuery query;
  query.page = question.page;
  query.include_gone = request.include_gone();
  if (query.include_gone && query.page.as_of) {
    return base::InvalidArgument("as_of_time_us and include_gone exclude each other");
  }
  return query;
}

}  // namespace

AdminApi::AdminApi(base::Loop& loop, const base::Clock& clock, const Rooms& rooms,
                   std::string server_version)
    : loop_(loop),
      clock_(clock),
      rooms_(rooms),
      server_version_(std::move(server_version)),
      started_(clock.Now()) {}

template <typename T>
void AdminApi::Answer(const identity::Caller& caller, Reply<T> reply, Question<T> question) {
  store::Ask(
      rooms_.reader, loop_, alive_,
      [&queries = rooms_.queries, scope = caller.token.scope, question = std::move(question)] {
        return question(queries, scope);
      },
      std::move(reply));
}

void AdminApi::GetFleet(const identity::Caller& caller, const v1::GetFleetRequest&,
                        Reply<v1::GetFleetResponse> reply) {
  Answer<v1::GetFleetResponse>(
      caller, std::move(reply),
      [version = server_version_](store::Queries& queries,
                                  const store::Scope&) -> Result<v1::GetFleetResponse> {
        WM_ASSIGN_OR_RETURN(const store::FleetRecord fleet, queries.Fleet());
        WM_ASSIGN_OR_RETURN(const auto roots, queries.Roots());
        v1::GetFleetResponse response;
        response.set_fleet_id(fleet.fleet_id);
        if (!roots.empty()) wire::ToProto(roots.back(), *response.mutable_root());
        response.set_newest_policy_version(fleet.newest_policy);
        response.set_next_policy_version(fleet.next_policy);
        response.set_floor(fleet.floor);
        response.set_server_version(version);
        return response;
      });
}

void AdminApi::ListEndpoints(const identity::Caller& caller,
                             const v1::ListEndpointsRequest& request,
                             Reply<v1::ListEndpointsResponse> reply) {
  using Rows = store::Page<store::EndpointRow>;
  auto question = ReadQuestion(query::Endpoints(), request);
  if (!question.has_value()) return reply(std::move(question).error());
  store::EndpointQuery query{question->page, {}};
  if (query.page.filter && query::Names(*query.page.filter, query::kConnected)) {
    query.connected = rooms_.fleet.Connected();
  }
  // Who is connected is the loop's to say, so the answer is put together there.
  store::Ask(
      rooms_.reader, loop_, alive_,
      [&queries = rooms_.queries, scope = caller.token.scope, query = std::move(query)]() {
        return queries.ListEndpoints(scope, query);
      },
      [this, question = *question, reply = std::move(reply)](Result<Rows> rows) {
        if (!rows.has_value()) return reply(std::move(rows).error());
        v1::ListEndpointsResponse response;
        for (const store::EndpointRow& row : rows->rows) {
          ToProto(row, IsConnected(row.id, question.page.as_of), *response.add_endpoints());
        }
        PutPage(question, *rows, response);
        reply(std::move(response));
      });
}

// Of a past moment it is not kept.
bool AdminApi::IsConnected(const model::Id& endpoint, std::optional<base::WallTime> moment) const {
  return !moment && rooms_.fleet.IsConnected(endpoint);
}

void AdminApi::GetEndpoint(const identity::Caller& caller, const v1::GetEndpointRequest& request,
                           Reply<v1::Endpoint> reply) {
  const auto moment = ReadMoment(request);
  if (!moment.has_value()) return reply(moment.error());
  store::Ask(
      rooms_.reader, loop_, alive_,
      [&queries = rooms_.queries, scope = caller.token.scope, moment = *moment,
       request]() -> Result<store::EndpointRow> {
        WM_ASSIGN_OR_RETURN(const model::Id id, model::ParseId(request.endpoint_id()));
        return queries.GetEndpoint(scope, id, moment);
      },
      [this, moment = *moment, reply = std::move(reply)](Result<store::EndpointRow> row) {
        if (!row.has_value()) return reply(std::move(row).error());
        v1::Endpoint response;
        ToProto(*row, IsConnected(row->id, moment), response);
        reply(std::move(response));
      });
}

void AdminApi::ListSightings(const identity::Caller& caller,
                             const v1::ListSightingsRequest& request,
                             Reply<v1::ListSightingsResponse> reply) {
  Answer<v1::ListSightingsResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::ListSightingsResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question, ReadQuestion(query::Sightings(), request));
        WM_ASSIGN_OR_RETURN(store::SightingQuery query, ReadSightingQuery(request, question));
        if (!request.endpoint_id().empty()) {
          WM_ASSIGN_OR_RETURN(query.endpoint, model::ParseId(request.endpoint_id()));
        }
        WM_ASSIGN_OR_RETURN(const store::SightingPage page, queries.ListSightings(scope, query));
        v1::ListSightingsResponse response;
        for (const store::SightingRow& row : page.rows) ToProto(row, *response.add_sightings());
        PutPage(question, page, response);
        ToProto(page.coverage, *response.mutable_coverage());
        return response;
      });
}

void AdminApi::Where(const identity::Caller& caller, const v1::WhereRequest& request,
                     Reply<v1::WhereResponse> reply) {
  Answer<v1::WhereResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries, const store::Scope& scope) -> Result<v1::WhereResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question, ReadQuestion(query::Sightings(), request));
        WM_ASSIGN_OR_RETURN(store::SightingQuery query, ReadSightingQuery(request, question));
        if (request.sha256().empty() == request.weights_digest().empty()) {
          return base::InvalidArgument("either sha256 or weights_digest says which file");
        }
        if (request.weights_digest().empty()) {
          WM_ASSIGN_OR_RETURN(query.sha256, model::ParseSha256(request.sha256()));
        } else {
          WM_ASSIGN_OR_RETURN(query.weights, model::ParseSha256(request.weights_digest()));
        }
        WM_ASSIGN_OR_RETURN(const store::SightingPage page, queries.ListSightings(scope, query));
        v1::WhereResponse response;
        for (const store::SightingRow& row : page.rows) ToProto(row, *response.add_sightings());
        PutPage(question, page, response);
        response.set_endpoints(page.endpoints);
        response.set_present(page.present);
        response.set_weights_known(page.weights_known);
        ToProto(page.coverage, *response.mutable_coverage());
        return response;
      });
}

void AdminApi::ListArtifacts(const identity::Caller& caller,
                             const v1::ListArtifactsRequest& request,
                             Reply<v1::ListArtifactsResponse> reply) {
  Answer<v1::ListArtifactsResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::ListArtifactsResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question, ReadQuestion(query::Artifacts(), request));
        WM_ASSIGN_OR_RETURN(const auto page, queries.ListArtifacts(scope, question.page));
        v1::ListArtifactsResponse response;
        for (const store::ArtifactRow& row : page.rows) ToProto(row, *response.add_artifacts());
        PutPage(question, page, response);
        return response;
      });
}

void AdminApi::ListEvents(const identity::Caller& caller, const v1::ListEventsRequest& request,
                          Reply<v1::ListEventsResponse> reply) {
  Answer<v1::ListEventsResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::ListEventsResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question, ReadQuestion(query::Events(), request));
        WM_ASSIGN_OR_RETURN(const model::Id endpoint, model::ParseId(request.endpoint_id()));
        WM_ASSIGN_OR_RETURN(const auto page, queries.ListEvents(scope, endpoint, question.page));
        v1::ListEventsResponse response;
        for (const store::EventRow& row : page.rows) ToProto(row, *response.add_events());
        PutPage(question, page, response);
        return response;
      });
}

void AdminApi::GetEvidence(const identity::Caller& caller, const v1::GetEvidenceRequest& request,
                           Reply<v1::GetEvidenceResponse> reply) {
  Answer<v1::GetEvidenceResponse>(
      caller, std::move(reply),
      [&evidence = rooms_.evidence, request](store::Queries& queries, const store::Scope& scope) {
        return evidence.Gather(queries, scope, request);
      });
}

void AdminApi::ListBatches(const identity::Caller& caller, const v1::ListBatchesRequest& request,
                           Reply<v1::ListBatchesResponse> reply) {
  Answer<v1::ListBatchesResponse>(caller, std::move(reply),
                                  [request](store::Queries& queries, const store::Scope& scope) {
                                    return Evidence::Batches(queries, scope, request);
                                  });
}

void AdminApi::ListPolicies(const identity::Caller& caller, const v1::ListPoliciesRequest& request,
                            Reply<v1::ListPoliciesResponse> reply) {
  Answer<v1::ListPoliciesResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::ListPoliciesResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question, ReadQuestion(query::Policies(), request));
        WM_ASSIGN_OR_RETURN(const auto page, queries.ListPolicies(scope, question.page));
        v1::ListPoliciesResponse response;
        for (const store::PolicyRow& row : page.rows) ToProto(row, *response.add_policies());
        PutPage(question, page, response);
        return response;
      });
}

void AdminApi::CountVerdicts(const identity::Caller& caller,
                             const v1::CountVerdictsRequest& request,
                             Reply<v1::CountVerdictsResponse> reply) {
  Answer<v1::CountVerdictsResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::CountVerdictsResponse> {
        std::optional<model::Id> endpoint;
        if (!request.endpoint_id().empty()) {
          WM_ASSIGN_OR_RETURN(endpoint, model::ParseId(request.endpoint_id()));
        }
        WM_ASSIGN_OR_RETURN(const auto moment, ReadMoment(request));
        WM_ASSIGN_OR_RETURN(const store::VerdictCounts counts,
                            queries.CountVerdicts(scope, endpoint, moment));
        v1::CountVerdictsResponse response;
        ToProto(counts, response);
        return response;
      });
}

void AdminApi::CreateToken(const identity::Caller& caller, const v1::CreateTokenRequest& request,
                           Reply<v1::CreateTokenResponse> reply) {
  // Compared in milliseconds: the foreign number may not fit a Duration.
  constexpr std::chrono::milliseconds kLongest = base::limits::kMaxTokenValidity;
  if (request.valid_for_ms() <= 0 || request.valid_for_ms() > kLongest.count()) {
    return reply(base::InvalidArgument("a token is valid for at most 90 days"));
  }
  auto labels = ReadLabels(request);
  if (!labels.has_value()) return reply(std::move(labels).error());
  rooms_.authority.CreateToken(
      caller.token.scope,
      {request.uses(), std::chrono::milliseconds(request.valid_for_ms()), request.comment(),
       *std::move(labels)},
      [reply = std::move(reply)](Result<identity::NewEnrolmentToken> token) {
        if (!token.has_value()) return reply(std::move(token).error());
        v1::CreateTokenResponse response;
        response.set_token(token->text);
        response.set_expires_time_us(base::ToMicroseconds(token->expires));
        reply(std::move(response));
      });
}

void AdminApi::PublishPolicy(const identity::Caller& caller, v1::Publication& request,
                             Reply<v1::PublishPolicyResponse> reply) {
  auto read = ReadPublication(request);
  if (!read.has_value()) return reply(std::move(read).error());
  read->publisher = ActorOf(caller);
  rooms_.rollout.Publish(*std::move(read),
                         [this, reply = std::move(reply)](
                             Result<std::shared_ptr<const rollout::PublishedPolicy>> published) {
                           if (!published.has_value()) return reply(std::move(published).error());
                           v1::PublishPolicyResponse response;
                           response.set_version((*published)->manifest.version);
                           response.set_endpoints_offered(rooms_.fleet.connected());
                           reply(std::move(response));
                         });
}

void AdminApi::SimulatePolicy(const identity::Caller& caller, v1::PolicyDraft& request,
                              Reply<v1::SimulatePolicyResponse> reply) {
  constexpr std::uint32_t kSamples = 20;
  if (request.samples() > base::limits::kMaxSimulatedSamples) {
    return reply(base::InvalidArgument("samples is at most " +
                                       std::to_string(base::limits::kMaxSimulatedSamples)));
  }
  auto parts = ReadParts(request);
  if (!parts.has_value()) return reply(std::move(parts).error());
  const std::uint32_t samples = request.samples() == 0 ? kSamples : request.samples();
  rooms_.simulator.Simulate(caller.token.scope, *std::move(parts), samples,
                            [reply = std::move(reply)](Result<rollout::Simulation> simulation) {
                              if (!simulation.has_value())
                                return reply(std::move(simulation).error());
                              v1::SimulatePolicyResponse response;
                              ToProto(*simulation, response);
                              reply(std::move(response));
                            });
}

void AdminApi::GetPolicy(const identity::Caller& caller, const v1::GetPolicyRequest& request,
                         Reply<v1::GetPolicyResponse> reply) {
  Answer<v1::GetPolicyResponse>(
      caller, std::move(reply),
      [version = request.version()](store::Queries& queries,
                                    const store::Scope& scope) -> Result<v1::GetPolicyResponse> {
        WM_ASSIGN_OR_RETURN(const store::StoredBundle bundle, queries.FindBundle(scope, version));
        v1::GetPolicyResponse response;
        ToProto(bundle, response);
        return response;
      });
}

void AdminApi::GetPolicyPart(const identity::Caller& caller,
                             const v1::GetPolicyPartRequest& request,
                             Reply<v1::GetPolicyPartResponse> reply) {
  Answer<v1::GetPolicyPartResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries, const store::Scope&) -> Result<v1::GetPolicyPartResponse> {
        WM_ASSIGN_OR_RETURN(const model::Sha256 part, model::ParseSha256(request.sha256()));
        WM_ASSIGN_OR_RETURN(store::PartPiece piece, queries.ReadPart(part, request.offset()));
        v1::GetPolicyPartResponse response;
        response.set_content(std::move(piece.data));
        response.set_size_bytes(piece.total_bytes);
        return response;
      });
}

void AdminApi::GetStatistics(const identity::Caller& caller, const v1::GetStatisticsRequest&,
                             Reply<v1::GetStatisticsResponse> reply) {
  // Who is connected is the loop's to say, so the answer is put together there.
  store::Ask(
      rooms_.reader, loop_, alive_,
      [&queries = rooms_.queries, scope = caller.token.scope] { return queries.Statistics(scope); },
      [this, reply = std::move(reply)](Result<store::Statistics> numbers) {
        if (!numbers.has_value()) return reply(std::move(numbers).error());
        v1::GetStatisticsResponse response;
        response.set_server_version(server_version_);
        response.set_started_time_us(base::ToMicroseconds(started_));
        response.set_store_writable(rooms_.ingest.store_is_well());
        ToProto(*numbers, response);
        if (numbers->in_scope.has_value()) {
          response.set_connected(CountConnected(*numbers->in_scope));
          return reply(std::move(response));
        }
        response.set_connected(rooms_.fleet.connected());
        response.set_policies_offered(rooms_.fleet.policies_offered());
        ToProto(rooms_.ingest.counters(), response);
        response.set_batches_waiting(rooms_.ingest.queued());
        reply(std::move(response));
      });
}

std::uint64_t AdminApi::CountConnected(const std::vector<model::Id>& endpoints) const {
  return static_cast<std::uint64_t>(std::ranges::count_if(
      endpoints, [&](const model::Id& id) { return rooms_.fleet.IsConnected(id); }));
}

void AdminApi::ListExceptions(const identity::Caller& caller,
                              const v1::ListExceptionsRequest& request,
                              Reply<v1::ListExceptionsResponse> reply) {
  Answer<v1::ListExceptionsResponse>(
      caller, std::move(reply),
      [request, now = clock_.Now()](store::Queries& queries, const store::Scope& scope)
          -> Result<v1::ListExceptionsResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question,
                            ReadQuestion(query::Exceptions(), request));
        WM_ASSIGN_OR_RETURN(
            const auto page,
            queries.ListExceptions(scope, {question.page, request.include_ended(), now}));
        v1::ListExceptionsResponse response;
        for (const store::ExceptionRow& row : page.rows) ToProto(row, *response.add_exceptions());
        PutPage(question, page, response);
        return response;
      });
}

void AdminApi::GetExceptionSet(const identity::Caller& caller,
                               const v1::GetExceptionSetRequest& request,
                               Reply<v1::PublishedExceptionSet> reply) {
  Answer<v1::PublishedExceptionSet>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::PublishedExceptionSet> {
        std::optional<model::Id> endpoint;
        if (!request.endpoint_id().empty()) {
          WM_ASSIGN_OR_RETURN(endpoint, model::ParseId(request.endpoint_id()));
        }
        WM_ASSIGN_OR_RETURN(const auto record, queries.FindExceptions(scope, endpoint));
        v1::PublishedExceptionSet response;
        ToProto(record, response);
        return response;
      });
}

void AdminApi::PublishExceptions(const identity::Caller& caller,
                                 const v1::PublishExceptionsRequest& request,
                                 Reply<v1::PublishExceptionsResponse> reply) {
  auto document = wire::FromProto(request.signed_exceptions());
  if (!document.has_value()) return reply(std::move(document).error());
  rooms_.exceptions.Publish(
      caller.token.scope, *std::move(document), ActorOf(caller),
      [this, reply = std::move(reply)](Result<rollout::ExceptionRollout::Published> published) {
        if (!published.has_value()) return reply(std::move(published).error());
        const model::ExceptionSet& set = (*published)->set;
        v1::PublishExceptionsResponse response;
        response.set_version(set.version);
        response.set_endpoints_offered(!set.endpoint ? rooms_.fleet.connected()
                                       : rooms_.fleet.IsConnected(*set.endpoint) ? 1
                                                                                 : 0);
        reply(std::move(response));
      });
}

void AdminApi::ListFindings(const identity::Caller& caller, const v1::ListFindingsRequest& request,
                            Reply<v1::ListFindingsResponse> reply) {
  Answer<v1::ListFindingsResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::ListFindingsResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question, ReadQuestion(query::Findings(), request));
        WM_ASSIGN_OR_RETURN(const auto page,
                            queries.ListFindings(scope, request.include_resolved(), question.page));
        v1::ListFindingsResponse response;
        for (const store::FindingRow& row : page.rows) ToProto(row, *response.add_findings());
        PutPage(question, page, response);
        return response;
      });
}

void AdminApi::GetFinding(const identity::Caller& caller, const v1::GetFindingRequest& request,
                          Reply<v1::GetFindingResponse> reply) {
  Answer<v1::GetFindingResponse>(
      caller, std::move(reply),
      [id = request.finding_id()](store::Queries& queries,
                                  const store::Scope& scope) -> Result<v1::GetFindingResponse> {
        WM_ASSIGN_OR_RETURN(const store::FindingDetails details, queries.GetFinding(scope, id));
        v1::GetFindingResponse response;
        ToProto(details, response);
        return response;
      });
}

void AdminApi::UpdateFinding(const identity::Caller& caller,
                             const v1::UpdateFindingRequest& request,
                             Reply<v1::UpdateFindingResponse> reply) {
  auto comment = ReadComment(caller, request);
  if (!comment.has_value()) return reply(std::move(comment).error());
  comment->at = clock_.Now();
  store::Ask(
      rooms_.writer, loop_, alive_,
      [&store = rooms_.store, scope = caller.token.scope, id = request.finding_id(),
       comment = *std::move(comment)] { return store.UpdateFinding(scope, id, comment); },
      [this, caller, id = request.finding_id(), reply = std::move(reply)](base::Status done) {
        if (!done.has_value()) return reply(std::move(done).error());
        Answer<v1::UpdateFindingResponse>(
            caller, reply,
            [id](store::Queries& queries,
                 const store::Scope& scope) -> Result<v1::UpdateFindingResponse> {
              WM_ASSIGN_OR_RETURN(const auto details, queries.GetFinding(scope, id));
              v1::UpdateFindingResponse response;
              ToProto(details.finding, *response.mutable_finding());
              return response;
            });
      });
}

void AdminApi::ListChanges(const identity::Caller& caller, const v1::ListChangesRequest& request,
                           Reply<v1::ListChangesResponse> reply) {
  Answer<v1::ListChangesResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::ListChangesResponse> {
        store::ChangeQuery query;
        WM_ASSIGN_OR_RETURN(query.size, ReadPageSize(request.page_size()));
        WM_ASSIGN_OR_RETURN(query.filter, query::ParseFilter(query::Changes(), request.filter()));
        if (!request.position().empty()) {
          WM_ASSIGN_OR_RETURN(query.after, ReadPosition(request.position()));
        }
        WM_ASSIGN_OR_RETURN(const store::ChangePage page, queries.ListChanges(scope, query));
        v1::ListChangesResponse response;
        for (const store::Change& change : page.rows) ToProto(change, *response.add_changes());
        response.set_position(std::to_string(page.next));
        return response;
      });
}

void AdminApi::RevokeEndpoint(const identity::Caller& caller,
                              const v1::RevokeEndpointRequest& request,
                              Reply<v1::RevokeEndpointResponse> reply) {
  const auto endpoint = model::ParseId(request.endpoint_id());
  if (!endpoint.has_value()) return reply(endpoint.error());
  rooms_.fleet.Revoke(caller.token.scope, *endpoint, request.reason(),
                      [reply = std::move(reply)](Result<bool> was_connected) {
                        if (!was_connected.has_value())
                          return reply(std::move(was_connected).error());
                        v1::RevokeEndpointResponse response;
                        response.set_was_connected(*was_connected);
                        reply(std::move(response));
                      });
}

void AdminApi::SetEndpointLabels(const identity::Caller& caller,
                                 const v1::SetEndpointLabelsRequest& request,
                                 Reply<v1::SetEndpointLabelsResponse> reply) {
  const auto endpoint = model::ParseId(request.endpoint_id());
  if (!endpoint.has_value()) return reply(endpoint.error());
  auto labels = ReadLabels(request);
  if (!labels.has_value()) return reply(std::move(labels).error());
  store::Ask(
      rooms_.writer, loop_, alive_,
      [&store = rooms_.store, scope = caller.token.scope, endpoint = *endpoint, labels = *labels,
       now = clock_.Now()] { return store.SetLabels(scope, endpoint, labels, now); },
      [labels = *labels, reply = std::move(reply)](base::Status done) {
        if (!done.has_value()) return reply(std::move(done).error());
        v1::SetEndpointLabelsResponse response;
        for (std::string& label : store::LabelWords(labels)) response.add_labels(std::move(label));
        reply(std::move(response));
      });
}

void AdminApi::CreateAdminToken(const identity::Caller& caller,
                                const v1::CreateAdminTokenRequest& request,
                                Reply<v1::CreateAdminTokenResponse> reply) {
  // Compared in milliseconds: the foreign number may not fit a Duration.
  constexpr std::chrono::milliseconds kLongest = base::limits::kMaxAdminTokenValidity;
  if (request.valid_for_ms() <= 0 || request.valid_for_ms() > kLongest.count()) {
    return reply(base::InvalidArgument("valid_for_ms is above 0 and at most 366 days"));
  }
  if (request.role() == v1::ADMIN_ROLE_UNSPECIFIED || !v1::AdminRole_IsValid(request.role())) {
    return reply(base::InvalidArgument("role is missing, or none that this server knows"));
  }
  auto scope = store::Scope::Parse(request.scope());
  if (!scope.has_value()) return reply(std::move(scope).error());
  identity::AdminTokenWish wish{request.name(), static_cast<store::AdminRole>(request.role()),
                                *std::move(scope),
                                std::chrono::milliseconds(request.valid_for_ms())};
  rooms_.administrators.Create(caller, std::move(wish),
                               [reply = std::move(reply)](Result<identity::NewAdminToken> token) {
                                 if (!token.has_value()) return reply(std::move(token).error());
                                 v1::CreateAdminTokenResponse response;
                                 response.set_token(token->text);
                                 ToProto(token->record, *response.mutable_admin_token());
                                 reply(std::move(response));
                               });
}

void AdminApi::ListAdminTokens(const identity::Caller& caller,
                               const v1::ListAdminTokensRequest& request,
                               Reply<v1::ListAdminTokensResponse> reply) {
  Answer<v1::ListAdminTokensResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope& scope) -> Result<v1::ListAdminTokensResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question,
                            ReadQuestion(query::AdminTokens(), request));
        WM_ASSIGN_OR_RETURN(const auto page, queries.ListAdminTokens(scope, question.page));
        v1::ListAdminTokensResponse response;
        for (const store::AdminTokenRecord& row : page.rows)
          ToProto(row, *response.add_admin_tokens());
        PutPage(question, page, response);
        return response;
      });
}

void AdminApi::ListAuditEntries(const identity::Caller& caller,
                                const v1::ListAuditEntriesRequest& request,
                                Reply<v1::ListAuditEntriesResponse> reply) {
  Answer<v1::ListAuditEntriesResponse>(
      caller, std::move(reply),
      [request](store::Queries& queries,
                const store::Scope&) -> Result<v1::ListAuditEntriesResponse> {
        WM_ASSIGN_OR_RETURN(const ListQuestion question,
                            ReadQuestion(query::AuditEntries(), request));
        WM_ASSIGN_OR_RETURN(const auto page, queries.ListAuditEntries(question.page));
        v1::ListAuditEntriesResponse response;
        for (const store::AuditEntry& row : page.rows) ToProto(row, *response.add_entries());
        PutPage(question, page, response);
        return response;
      });
}

void AdminApi::RevokeAdminToken(const identity::Caller& caller,
                                const v1::RevokeAdminTokenRequest& request,
                                Reply<v1::RevokeAdminTokenResponse> reply) {
  const auto token = model::ParseId(request.token_id());
  if (!token.has_value()) return reply(token.error());
  rooms_.administrators.Revoke(caller, *token, [reply = std::move(reply)](base::Status revoked) {
    if (!revoked.has_value()) return reply(std::move(revoked).error());
    reply(v1::RevokeAdminTokenResponse());
  });
}

void AdminApi::WhoAmI(const identity::Caller& caller, const v1::WhoAmIRequest&,
                      Reply<v1::WhoAmIResponse> reply) {
  v1::WhoAmIResponse response;
  ToProto(caller.token, *response.mutable_admin_token());
  for (const identity::Permission permission :
       identity::PermissionsOf(caller.token.role, caller.token.scope)) {
    response.add_permissions(static_cast<v1::Permission>(permission));
  }
  reply(std::move(response));
}

}  // namespace weighmaster::server::api
