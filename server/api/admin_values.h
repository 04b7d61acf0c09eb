#pragma once

#include "server/store/values.h"

namespace weighmaster::v1 {
class AdminToken;
class AuditEntry;
class Endpoint;
class Change;
class Finding;
class GetFindingResponse;
class CountVerdictsResponse;
class GetPolicyResponse;
class GetStatisticsResponse;
class Artifact;
class FleetCoverage;
class PublishedExceptionSet;
class GrantedException;
class PublishedPolicy;
class SimulatePolicyResponse;
class StoredEvent;
class StoredSighting;
}  // namespace weighmaster::v1

namespace weighmaster::server::ingest {
struct Counters;
}
namespace weighmaster::server::rollout {
struct Simulation;
}  // namespace weighmaster::server::rollout

namespace weighmaster::server::api {

// The store's values as the API's messages. Ids and digests are lower-case hexadecimal.

void ToProto(const store::EndpointRow& row, bool connected, v1::Endpoint& out);
void ToProto(const store::SightingRow& row, v1::StoredSighting& out);
void ToProto(const store::ArtifactRow& row, v1::Artifact& out);
void ToProto(const store::EventRow& row, v1::StoredEvent& out);
void ToProto(const store::PolicyRow& row, v1::PublishedPolicy& out);
void ToProto(const store::StoredBundle& bundle, v1::GetPolicyResponse& out);
void ToProto(const store::FindingRow& row, v1::Finding& out);
void ToProto(const store::FindingDetails& details, v1::GetFindingResponse& out);
void ToProto(const store::Change& change, v1::Change& out);
void ToProto(const store::AdminTokenRecord& row, v1::AdminToken& out);
void ToProto(const store::AuditEntry& entry, v1::AuditEntry& out);
void ToProto(const store::ExceptionRow& row, v1::GrantedException& out);
void ToProto(const store::ExceptionSetRecord& record, v1::PublishedExceptionSet& out);
void ToProto(const rollout::Simulation& simulation, v1::SimulatePolicyResponse& out);
void ToProto(const store::VerdictCounts& counts, v1::CountVerdictsResponse& out);
void ToProto(const store::Statistics& numbers, v1::GetStatisticsResponse& out);
void ToProto(const ingest::Counters& counters, v1::GetStatisticsResponse& out);
void ToProto(const store::FleetCoverage& coverage, v1::FleetCoverage& out);

}  // namespace weighmaster::server::api
