#include "agent/app/answers.h"

#include "agent/app/effective_settings.h"
#include "policy/base/limits.h"
#include "policy/base/version.h"
#include "proto/wire/convert.h"
#include "weighmaster/local/v1/control.pb.h"

namespace weighmaster::agent::app {

base::Status Answers::Status(local::v1::StatusAnswer& answer) {
  answer.set_agent_version(std::string(base::kVersion));
  TellConnection(answer);
  answer.set_policy_version(rooms_.policy.version());
  answer.set_policy_stale(rooms_.policy.stale());
  answer.set_policy_detail(rooms_.policy.last_error());
  TellSettings(answer);
  WM_RETURN_IF_ERROR(CountSightings(answer));
  WM_RETURN_IF_ERROR(CountJournal(answer));
  WM_ASSIGN_OR_RETURN(const auto coverages, rooms_.inventory.Coverages());
  std::size_t bytes = 0;
  for (const model::Coverage& coverage : coverages) {
    if (bytes > base::limits::kMaxCoverageInStatusBytes) {
      answer.set_coverage_left_out(answer.coverage_left_out() + 1);
      continue;
    }
    wire::ToProto(coverage, *answer.add_coverage());
    bytes += answer.coverage().rbegin()->ByteSizeLong();
  }
  return {};
}

void Answers::TellConnection(local::v1::StatusAnswer& answer) const {
  if (rooms_.enrolling.identity().has_value()) {
    answer.set_endpoint_id(rooms_.enrolling.identity()->endpoint_id.ToHex());
    answer.set_server_address(rooms_.enrolling.identity()->address);
  }
  answer.set_connection_detail(rooms_.enrolling.last_error());
  const sync::Session* const session = session_();
  if (session == nullptr) return;
  const sync::Status status = session->status();
  answer.set_connected(status.connected);
  if (!status.last_error.empty()) answer.set_connection_detail(status.last_error);
  answer.set_clock_offset_us(status.clock_offset.value_or(base::Duration(0)).count());
  if (status.last_contact.has_value()) {
    answer.set_last_contact_time_us(base::ToMicroseconds(*status.last_contact));
  }
}

void Answers::TellSettings(local::v1::StatusAnswer& answer) const {
  for (const EffectiveSetting& setting : Effective(rooms_.settings, rooms_.policy.settings()).all) {
    local::v1::EffectiveSetting& out = *answer.add_settings();
    out.set_name(setting.name);
    out.set_value(setting.value);
    out.set_source(static_cast<local::v1::SettingSource>(setting.source));
  }
}

base::Status Answers::CountSightings(local::v1::StatusAnswer& answer) {
  WM_ASSIGN_OR_RETURN(const inventory::Counts counts, rooms_.inventory.Count());
  answer.set_sightings(counts.sightings);
  answer.set_allow(counts.allow);
  answer.set_warn(counts.warn);
  answer.set_deny(counts.deny);
  answer.set_digests_pending(counts.digests_pending);
  const sensors::ArtifactProgress progress = rooms_.sensor.progress();
  answer.set_walking(progress.walking);
  answer.set_pause(static_cast<local::v1::PauseReason>(progress.pause));
  answer.set_files_seen(progress.files_seen);
  answer.set_bytes_to_hash(progress.bytes_to_hash);
  answer.set_bytes_hashed(progress.bytes_hashed);
  return {};
}

base::Status Answers::CountJournal(local::v1::StatusAnswer& answer) {
  WM_ASSIGN_OR_RETURN(const journal::Counts counts, rooms_.journal.Count());
  answer.set_events_pending(counts.pending_events);
  answer.set_batches_unacknowledged(counts.unacknowledged_batches);
  answer.set_journal_bytes(counts.bytes);
  answer.set_events_dropped(counts.dropped_events);
  if (const auto& error = rooms_.journal.last_error()) answer.set_journal_error(error->message());
  if (const auto& error = rooms_.intake.last_error()) answer.set_journal_error(error->message());
  return {};
}

base::Status Answers::Why(const model::Path& path, local::v1::WhyAnswer& answer) {
  WM_ASSIGN_OR_RETURN(const auto found, rooms_.inventory.Find(path));
  if (!found.has_value()) return {};
  answer.set_known(true);
  wire::ToProto(found->sighting, *answer.mutable_sighting());
  wire::ToProto(found->verdict, *answer.mutable_verdict());
  for (const model::Exception& exception : rooms_.policy.ExceptionsFor(found->sighting)) {
    local::v1::AppliedException& out = *answer.add_exceptions();
    out.set_exception_id(exception.id.ToHex());
    out.set_overrides(exception.overrides);
    out.set_reason(exception.reason);
    out.set_expires_time_us(base::ToMicroseconds(exception.expires));
  }
  return {};
}

}  // namespace weighmaster::agent::app
