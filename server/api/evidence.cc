#include "server/api/evidence.h"

#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "policy/base/limits.h"
#include "proto/wire/convert.h"
#include "proto/wire/evidence.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

using base::Result;

template <typename Request>
Result<store::BatchRange> ReadRange(const Request& request) {
  store::BatchRange range;
  range.first_number = request.first_number();
  if (request.last_number() != 0) range.last_number = request.last_number();
  if (request.from_time_us() < 0 || request.until_time_us() < 0) {
    return base::InvalidArgument("from_time_us and until_time_us are not negative");
  }
  if (request.from_time_us() != 0) {
    range.from = base::WallTimeFromMicroseconds(request.from_time_us());
  }
  if (request.until_time_us() != 0) {
    range.until = base::WallTimeFromMicroseconds(request.until_time_us());
  }
  if (range.first_number > range.last_number ||
      (range.from && range.until && *range.from > *range.until)) {
    return base::InvalidArgument("this range ends before it begins");
  }
  return range;
}

// The newest set of a scope, if there is one; its version.
Result<std::uint64_t> AddExceptions(store::Queries& queries, const store::Scope& scope,
                                    const std::optional<model::Id>& endpoint,
                                    v1::GetEvidenceResponse& response) {
  const auto found = queries.FindExceptions(scope, endpoint);
  if (!found.has_value()) {
    if (found.error().code() == base::ErrorCode::kNotFound) return std::uint64_t{0};
    return found.error();
  }
  wire::ToProto(found->document, *response.add_exceptions());
  return found->set.version;
}

// Those of the endpoint's policies that the server has: one restored from a backup may lack some.
Result<std::vector<wire::EvidenceAppliedPolicy>> Published(
    store::Queries& queries, const store::Scope& scope,
    const std::vector<wire::EvidenceAppliedPolicy>& applied) {
  std::vector<wire::EvidenceAppliedPolicy> published;
  for (const wire::EvidenceAppliedPolicy& policy : applied) {
    // 0 would ask for the newest.
    if (policy.version == 0) continue;
    const auto found = queries.FindBundle(scope, policy.version);
    if (!found.has_value() && found.error().code() != base::ErrorCode::kNotFound) {
      return found.error();
    }
    if (found.has_value() && found->manifest_sha256 == policy.manifest) {
      published.push_back(policy);
    }
  }
  return published;
}

constexpr std::string_view kPagePrefix = "b";

Result<std::uint64_t> ReadPageToken(std::string_view token) {
  if (token.empty()) return std::uint64_t{0};
  const base::Error wrong = base::InvalidArgument("page_token is none that this server made");
  if (!token.starts_with(kPagePrefix)) return wrong;
  token.remove_prefix(kPagePrefix.size());
  std::uint64_t from = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), from);
  if (error != std::errc() || end != token.data() + token.size()) return wrong;
  return from;
}

}  // namespace

Result<v1::GetEvidenceResponse> Evidence::Gather(store::Queries& queries, const store::Scope& scope,
                                                 const v1::GetEvidenceRequest& request) const {
  wire::EvidenceStatement statement;
  WM_ASSIGN_OR_RETURN(statement.endpoint, model::ParseId(request.endpoint_id()));
  WM_ASSIGN_OR_RETURN(const store::BatchRange range, ReadRange(request));
  WM_ASSIGN_OR_RETURN(store::EndpointEvidence found,
                      queries.FindEvidence(scope, statement.endpoint, range));
  WM_ASSIGN_OR_RETURN(const store::FleetRecord fleet, queries.Fleet());
  WM_ASSIGN_OR_RETURN(const auto roots, queries.Roots());
  if (roots.empty()) return base::DataLoss("the store has no root document");
  WM_ASSIGN_OR_RETURN(const wire::Root newest, wire::ParseRoot(roots.back().bytes));
  v1::GetEvidenceResponse response;
  statement.fleet_id = fleet.fleet_id;
  statement.hostname = std::move(found.hostname);
  statement.lineage = fleet.lineage;
  statement.server_time = clock_.Now();
  statement.root_version = newest.version;
  statement.keys = std::move(found.keys);
  statement.chains = std::move(found.chains);
  statement.quarantined = std::move(found.quarantined);
  WM_ASSIGN_OR_RETURN(statement.policies, Published(queries, scope, found.policies));
  WM_ASSIGN_OR_RETURN(statement.fleet_exceptions_version,
                      AddExceptions(queries, scope, std::nullopt, response));
  WM_ASSIGN_OR_RETURN(statement.endpoint_exceptions_version,
                      AddExceptions(queries, scope, statement.endpoint, response));
  for (const wire::SignedDocument& root : roots) wire::ToProto(root, *response.add_roots());
  for (std::size_t i = 0; i < statement.chains.size(); ++i) {
    const wire::EvidenceChain& chain = statement.chains[i];
    wire::ToProto(wire::MakeAcknowledgement({.chain = chain.chain,
                                             .number = chain.last_number,
                                             .header_digest = found.last_digests[i],
                                             .lineage = statement.lineage,
                                             .server_time = statement.server_time},
                                            signer_),
                  *response.add_acknowledgements());
  }
  wire::SignedDocument document{.bytes = wire::SerialiseStatement(statement), .signatures = {}};
  WM_RETURN_IF_ERROR(wire::Sign(document, wire::kDomainEvidence, signer_));
  wire::ToProto(document, *response.mutable_statement());
  if (response.ByteSizeLong() > base::limits::kMaxEvidenceRecordBytes) {
    return base::ResourceExhausted(
        "the evidence of this endpoint is too much for one file; ask for a narrower range");
  }
  return response;
}

Result<v1::ListBatchesResponse> Evidence::Batches(store::Queries& queries,
                                                  const store::Scope& scope,
                                                  const v1::ListBatchesRequest& request) {
  store::BatchQuery query;
  WM_ASSIGN_OR_RETURN(query.endpoint, model::ParseId(request.endpoint_id()));
  if (!request.chain_id().empty()) {
    WM_ASSIGN_OR_RETURN(query.chain, model::ParseId(request.chain_id()));
  }
  WM_ASSIGN_OR_RETURN(query.range, ReadRange(request));
  WM_ASSIGN_OR_RETURN(query.from, ReadPageToken(request.page_token()));
  WM_ASSIGN_OR_RETURN(const store::BatchPage page, queries.ListBatches(scope, query));
  v1::ListBatchesResponse response;
  for (const wire::SealedBatch& batch : page.batches) wire::ToProto(batch, *response.add_batches());
  if (page.next) {
    response.set_next_page_token(std::string(kPagePrefix) + std::to_string(*page.next));
  }
  return response;
}

}  // namespace weighmaster::server::api
