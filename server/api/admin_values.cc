#include "server/api/admin_values.h"

#include <google/protobuf/descriptor.h>

#include "proto/wire/convert.h"
#include "server/ingest/ingest.h"
#include "server/rollout/simulation.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

void ToProto(const model::Path& path, v1::DisplayPath& out) {
  out.set_text(path.ToDisplay());
  wire::ToProto(path, *out.mutable_path());
}

template <typename Message>
void PutPublisher(const std::optional<store::Actor>& publisher, Message& out) {
  if (!publisher) return;
  out.set_published_by_token_id(publisher->token.ToHex());
  out.set_published_by(publisher->name);
}

void ToProto(const rollout::SimulatedChange& change, v1::SimulatedChange& out) {
  out.set_endpoint_id(change.endpoint.ToHex());
  out.set_hostname(change.hostname);
  ToProto(change.path, *out.mutable_path());
  if (change.sha256) out.set_sha256(change.sha256->ToHex());
  out.set_rule_now(change.rule_now);
  wire::ToProto(change.verdict, *out.mutable_verdict());
}

// What SimulatedModeChange and SimulatedSeverityChange have in common.
template <typename Part, typename Message>
void PutShift(const rollout::SimulatedShift<Part>& shift, Message& out) {
  out.set_sightings(shift.sightings);
  for (const rollout::SimulatedChange& change : shift.first) ToProto(change, *out.add_first());
}

void PutShifts(const rollout::Simulation& simulation, v1::SimulatePolicyResponse& out) {
  out.set_changed_mode(simulation.changed_mode);
  for (const auto& shift : simulation.modes) {
    v1::SimulatedModeChange& proto = *out.add_mode_changes();
    proto.set_from(static_cast<v1::Mode>(shift.from));
    proto.set_to(static_cast<v1::Mode>(shift.to));
    PutShift(shift, proto);
  }
  out.set_changed_severity(simulation.changed_severity);
  for (const auto& shift : simulation.severities) {
    v1::SimulatedSeverityChange& proto = *out.add_severity_changes();
    proto.set_from(static_cast<v1::Severity>(shift.from));
    proto.set_to(static_cast<v1::Severity>(shift.to));
    PutShift(shift, proto);
  }
}

}  // namespace

void ToProto(const store::EndpointRow& row, bool connected, v1::Endpoint& out) {
  out.set_endpoint_id(row.id.ToHex());
  out.set_hostname(row.machine.hostname);
  out.set_os(row.machine.os);
  out.set_agent_version(row.machine.agent_version);
  out.set_state(static_cast<v1::EndpointState>(row.state));
  out.set_enrolled_time_us(base::ToMicroseconds(row.enrolled));
  if (row.last_contact.has_value()) {
    out.set_last_contact_time_us(base::ToMicroseconds(*row.last_contact));
  }
  out.set_connected(connected);
  out.set_policy_version(row.policy_version);
  out.set_policy_partly(row.policy_partly);
  if (row.policy_since) out.set_policy_since_time_us(base::ToMicroseconds(*row.policy_since));
  out.set_clock_offset_us(row.clock_offset.count());
  out.set_sightings(row.sightings);
  out.set_denied(row.denied);
  out.set_warned(row.warned);
  for (const model::Coverage& coverage : row.coverage) {
    wire::ToProto(coverage, *out.add_coverage());
  }
  out.set_coverage_state(static_cast<v1::CoverageState>(row.coverage_state));
  out.set_events_stored(row.events_stored);
  out.set_events_dropped(row.events_dropped);
  out.set_key_sha256(row.key_sha256.ToHex());
  out.set_key_added_time_us(base::ToMicroseconds(row.key_added));
  if (row.revoked.has_value()) out.set_revoked_time_us(base::ToMicroseconds(*row.revoked));
  out.set_revoked_reason(row.revoked_reason);
  for (std::string& label : store::LabelWords(row.labels)) out.add_labels(std::move(label));
}

void ToProto(const store::SightingRow& row, v1::StoredSighting& out) {
  out.set_endpoint_id(row.endpoint.ToHex());
  out.set_hostname(row.hostname);
  ToProto(row.sighting.path, *out.mutable_path());
  wire::ToProto(row.sighting, *out.mutable_sighting());
  if (row.verdict.has_value()) wire::ToProto(*row.verdict, *out.mutable_verdict());
  out.set_first_seen_time_us(base::ToMicroseconds(row.first_seen));
  out.set_last_change_time_us(base::ToMicroseconds(row.gone.value_or(row.last_change)));
  out.set_present(!row.gone.has_value());
}

void ToProto(const store::ArtifactRow& row, v1::Artifact& out) {
  out.set_sha256(row.sha256.ToHex());
  out.set_places(row.places);
  out.set_endpoints(row.endpoints);
  if (row.first_seen.has_value()) out.set_first_seen_time_us(base::ToMicroseconds(*row.first_seen));
  if (row.format.has_value()) out.set_format(static_cast<v1::Format>(*row.format));
  out.set_name(row.name);
  out.set_license(row.license);
  out.set_size_bytes(row.size_bytes.value_or(0));
}

void ToProto(const store::EventRow& row, v1::StoredEvent& out) {
  out.set_chain_id(row.chain.ToHex());
  out.set_number(row.number);
  const auto* const kind = v1::Event::descriptor()->FindFieldByNumber(static_cast<int>(row.kind));
  out.set_kind(kind == nullptr ? "unknown" : kind->name());
  if (row.body.empty()) return;
  if (!out.mutable_event()->ParseFromString(row.body)) out.clear_event();
}

void ToProto(const store::PolicyRow& row, v1::PublishedPolicy& out) {
  out.set_version(row.version);
  out.set_published_time_us(base::ToMicroseconds(row.published));
  out.set_floor(row.floor);
  out.set_manifest_sha256(row.manifest_sha256.ToHex());
  out.set_endpoints_in_force(row.endpoints_in_force);
  out.set_endpoints_partly(row.endpoints_partly);
  PutPublisher(row.publisher, out);
}

void ToProto(const store::StoredBundle& bundle, v1::GetPolicyResponse& out) {
  wire::ToProto(bundle.document, *out.mutable_bundle());
  out.set_document(bundle.text);
  out.set_version(bundle.version);
  out.set_published_time_us(base::ToMicroseconds(bundle.published));
  out.set_endpoints_in_force(bundle.endpoints_in_force);
  out.set_endpoints_partly(bundle.endpoints_partly);
  out.set_endpoints_total(bundle.endpoints_total);
  PutPublisher(bundle.publisher, out);
}

void ToProto(const store::FindingRow& row, v1::Finding& out) {
  out.set_finding_id(row.id);
  out.set_rule(row.rule);
  out.set_endpoint_id(row.endpoint.ToHex());
  out.set_hostname(row.hostname);
  out.set_subject(row.subject);
  out.set_severity(static_cast<v1::Severity>(row.severity));
  out.set_state(static_cast<v1::FindingState>(row.state));
  out.set_detail(row.detail);
  out.set_first_time_us(base::ToMicroseconds(row.first));
  out.set_last_time_us(base::ToMicroseconds(row.last));
  out.set_count(row.count);
}

void ToProto(const store::FindingDetails& details, v1::GetFindingResponse& out) {
  ToProto(details.finding, *out.mutable_finding());
  for (const store::FindingComment& comment : details.comments) {
    v1::FindingComment& proto = *out.add_comments();
    proto.set_time_us(base::ToMicroseconds(comment.at));
    proto.set_token_id(comment.actor.token.ToHex());
    proto.set_token_name(comment.actor.name);
    if (comment.state) proto.set_state(static_cast<v1::FindingState>(*comment.state));
    proto.set_text(comment.text);
  }
}

void ToProto(const store::Change& change, v1::Change& out) {
  out.set_position(change.position);
  out.set_time_us(base::ToMicroseconds(change.time));
  out.set_topic(static_cast<v1::ChangeTopic>(change.topic));
  if (change.endpoint) out.set_endpoint_id(change.endpoint->ToHex());
  if (change.chain) out.set_chain_id(change.chain->ToHex());
  out.set_number(change.number);
  out.set_count(change.count);
}

void ToProto(const store::AdminTokenRecord& row, v1::AdminToken& out) {
  out.set_token_id(row.id.ToHex());
  out.set_name(row.name);
  out.set_role(static_cast<v1::AdminRole>(row.role));
  out.set_scope(row.scope.ToText());
  out.set_created_time_us(base::ToMicroseconds(row.created));
  if (row.created_by.has_value()) out.set_created_by_token_id(row.created_by->ToHex());
  if (row.expires.has_value()) out.set_expires_time_us(base::ToMicroseconds(*row.expires));
  if (row.revoked.has_value()) out.set_revoked_time_us(base::ToMicroseconds(*row.revoked));
}

void ToProto(const store::AuditEntry& entry, v1::AuditEntry& out) {
  out.set_number(entry.row.number);
  out.set_time_us(base::ToMicroseconds(entry.row.time));
  out.set_token_id(entry.row.token_id.ToHex());
  out.set_token_name(entry.row.token_name);
  out.set_method(entry.row.method);
  out.set_outcome(static_cast<v1::AuditOutcome>(entry.row.outcome));
  out.set_begun_number(entry.row.begun_number);
  out.set_code(entry.row.code);
  out.set_summary(entry.row.summary);
  out.set_sha256(entry.digest.ToHex());
}

void ToProto(const store::ExceptionRow& row, v1::GrantedException& out) {
  const model::Exception& exception = row.exception;
  out.set_exception_id(exception.id.ToHex());
  const std::string digest = exception.digest.ToHex();
  if (exception.of_weights) {
    out.set_weights_digest(digest);
  } else {
    out.set_sha256(digest);
  }
  out.set_user(exception.user);
  out.set_overrides(exception.overrides);
  out.set_reason(exception.reason);
  out.set_expires_time_us(base::ToMicroseconds(exception.expires));
  if (row.endpoint) out.set_endpoint_id(row.endpoint->ToHex());
  out.set_version(row.version);
  out.set_granted_time_us(base::ToMicroseconds(row.granted));
  if (row.publisher) {
    out.set_granted_by_token_id(row.publisher->token.ToHex());
    out.set_granted_by(row.publisher->name);
  }
  if (row.withdrawn) out.set_withdrawn_time_us(base::ToMicroseconds(*row.withdrawn));
}

void ToProto(const store::ExceptionSetRecord& record, v1::PublishedExceptionSet& out) {
  if (record.set.endpoint) out.set_endpoint_id(record.set.endpoint->ToHex());
  out.set_version(record.set.version);
  out.set_published_time_us(base::ToMicroseconds(record.published));
  wire::ToProto(record.document, *out.mutable_signed_exceptions());
  PutPublisher(record.publisher, out);
}

void ToProto(const rollout::Simulation& simulation, v1::SimulatePolicyResponse& out) {
  out.set_sightings(simulation.sightings);
  out.set_changed(simulation.changed);
  out.set_endpoints_changed(simulation.endpoints_changed);
  for (const rollout::SimulatedTransition& transition : simulation.transitions) {
    v1::SimulatedTransition& proto = *out.add_transitions();
    if (transition.from) proto.set_from(static_cast<v1::Outcome>(*transition.from));
    proto.set_to(static_cast<v1::Outcome>(transition.to));
    proto.set_sightings(transition.sightings);
    for (const rollout::SimulatedChange& change : transition.first) {
      ToProto(change, *proto.add_first());
    }
  }
  for (const rollout::SimulatedRule& rule : simulation.rules) {
    v1::SimulatedRule& proto = *out.add_rules();
    proto.set_rule(rule.rule);
    proto.set_now(rule.now);
    proto.set_then(rule.then);
  }
  PutShifts(simulation, out);
  for (const rollout::SimulatedAudit& audit : simulation.audits) {
    v1::SimulatedAudit& proto = *out.add_audits();
    proto.set_rule(audit.rule);
    proto.set_sightings(audit.sightings);
  }
  for (const rollout::SimulatedWithheld& withheld : simulation.withheld) {
    v1::SimulatedWithheld& proto = *out.add_withheld();
    proto.set_field(std::string(model::WithheldName(withheld.field)));
    proto.set_endpoints(withheld.endpoints);
  }
  ToProto(simulation.coverage, *out.mutable_coverage());
}

void ToProto(const store::VerdictCounts& counts, v1::CountVerdictsResponse& out) {
  out.set_allow(counts.allow);
  out.set_warn(counts.warn);
  out.set_deny(counts.deny);
  out.set_pending(counts.pending);
  for (const auto& [rule, sightings] : counts.audits) {
    v1::AuditCount& proto = *out.add_audits();
    proto.set_rule(rule);
    proto.set_sightings(sightings);
  }
  ToProto(counts.coverage, *out.mutable_coverage());
}

void ToProto(const store::Statistics& numbers, v1::GetStatisticsResponse& out) {
  for (const auto& count : numbers.endpoints) {
    v1::EndpointCount& proto = *out.add_endpoints();
    proto.set_state(static_cast<v1::EndpointState>(count.state));
    proto.set_endpoints(count.endpoints);
  }
  ToProto(numbers.verdicts, *out.mutable_verdicts());
  for (const auto& count : numbers.findings) {
    v1::FindingCount& proto = *out.add_findings();
    proto.set_state(static_cast<v1::FindingState>(count.state));
    proto.set_severity(static_cast<v1::Severity>(count.severity));
    proto.set_findings(count.findings);
  }
  out.set_newest_policy_version(numbers.newest_policy);
  out.set_endpoints_in_force(numbers.endpoints_in_force);
  out.set_endpoints_partly(numbers.endpoints_partly);
}

void ToProto(const ingest::Counters& counters, v1::GetStatisticsResponse& out) {
  out.set_batches_stored(counters.stored);
  out.set_events_stored(counters.events);
  out.set_batches_repeated(counters.repeated);
  out.set_batches_set_apart(counters.set_apart);
  out.set_batches_refused(counters.refused);
  out.set_batches_out_of_order(counters.gaps);
  out.set_batches_turned_away(counters.turned_away);
  out.set_store_failures(counters.store_failures);
}

void ToProto(const store::FleetCoverage& coverage, v1::FleetCoverage& out) {
  out.set_endpoints(coverage.endpoints);
  out.set_endpoints_looked(coverage.looked);
  out.set_endpoints_partly(coverage.partly);
  out.set_endpoints_not(coverage.none);
}

}  // namespace weighmaster::server::api
