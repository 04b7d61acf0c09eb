#include "server/store/sqlite/projection/projection.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "policy/base/limits.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/columns/sightings_table.h"
#include "server/store/sqlite/projection/coverage_table.h"

namespace weighmaster::server::store {
namespace {

using base::Status;
using sqlite::Statement;

// The endpoint may say any time at all.
base::WallTime Corrected(base::WallTime wall, base::Duration offset) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(base::ToMicroseconds(wall), offset.count(), &sum)) return wall;
  return base::WallTimeFromMicroseconds(sum);
}

// What the server itself says of an endpoint's coverage; no endpoint speaks for it.
constexpr std::string_view kServerSensor = "server";
// What a row costs beside its message.
constexpr std::size_t kCoverageRowBytes = 64;

// The one row for all roots of an endpoint that are not kept. It stays until the endpoint tells
// everything anew: which roots those were is not known, so neither is when none is left.
model::Coverage BeyondTheLimit() {
  model::Coverage coverage;
  coverage.sensor = kServerSensor;
  coverage.root = {"/"};
  coverage.state = model::CoverageState::kPartly;
  coverage.reason = model::CoverageReason::kLimit;
  coverage.detail = "the endpoint has more roots than the server keeps";
  return coverage;
}

}  // namespace

Status Projection::Apply(std::int64_t endpoint, base::Duration clock_offset,
                         base::WallTime received, const EventWrite& write) {
  const At at{endpoint, std::min(Corrected(write.event.wall, clock_offset), received), write};
  return std::visit([&](const auto& body) { return On(at, body); }, write.event.body);
}

base::Result<std::int64_t> Projection::Artifact(const model::Sha256& sha256) {
  return SmallNumber(sha256, artifacts_, "SELECT id FROM artifacts WHERE sha256 = ?",
                     "INSERT INTO artifacts (sha256) VALUES (?)");
}

base::Result<std::int64_t> Projection::Weights(const model::Sha256& digest) {
  return SmallNumber(digest, weights_, "SELECT id FROM weights WHERE digest = ?",
                     "INSERT INTO weights (digest) VALUES (?)");
}

base::Result<std::int64_t> Projection::SmallNumber(const model::Sha256& digest,
                                                   std::map<model::Sha256, std::int64_t>& known,
                                                   std::string_view select,
                                                   std::string_view insert) {
  if (const auto before = known.find(digest); before != known.end()) return before->second;
  std::int64_t id = 0;
  WM_ASSIGN_OR_RETURN(Statement find, database_.Prepare(select));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(digest.view()).Step());
  if (found) {
    id = find.Int(0);
  } else {
    WM_ASSIGN_OR_RETURN(Statement add, database_.Prepare(insert));
    WM_RETURN_IF_ERROR(add.Bind(digest.view()).Run());
    id = database_.LastInsertId();
  }
  known.emplace(digest, id);
  return id;
}

Status Projection::On(const At& at, const model::SightingAppeared& event) {
  return Put(at, event.sighting);
}

Status Projection::On(const At& at, const model::SightingChanged& event) {
  return Put(at, event.sighting);
}

// A sighting is one artifact at one path over one interval. A digest that becomes known continues
// the interval; another digest, or one that is unknown again, ends it and begins the next.
Status Projection::Put(const At& at, const model::Sighting& sighting) {
  std::optional<std::int64_t> artifact;
  if (sighting.digest.sha256.has_value()) {
    WM_ASSIGN_OR_RETURN(artifact, Artifact(*sighting.digest.sha256));
  }
  std::optional<std::int64_t> weights;
  if (sighting.weights_digest.has_value()) {
    WM_ASSIGN_OR_RETURN(weights, Weights(*sighting.weights_digest));
  }
  WM_ASSIGN_OR_RETURN(Place* const place, places_.At(at.endpoint, at.write.path_sha256));
  const bool other = place->open && place->open->artifact && place->open->artifact != artifact;
  if (other) End(*place, at.time, std::nullopt);
  if (!place->open) place->open.emplace().first_seen = at.time;
  place->open->artifact = artifact;
  place->open->weights = weights;
  place->open->told = &at.write;
  place->open->sighting = &sighting;
  place->open->last_change = at.time;
  return {};
}

void Projection::End(Place& place, base::WallTime time, std::optional<model::GoneReason> reason) {
  place.open->gone = time;
  place.open->gone_reason = reason;
  place.open->verdict = place.verdict;
  place.ended.push_back(*place.open);
  place.open.reset();
}

Status Projection::On(const At& at, const model::SightingGone& event) {
  WM_ASSIGN_OR_RETURN(Place* const place, places_.At(at.endpoint, at.write.path_sha256));
  if (place->open) End(*place, at.time, event.reason);
  return {};
}

// The verdict before it is kept for those who ask what held then, but for one that held for no time
// at all. A clock that went back makes no verdict older than the one that it replaces. Batches hold
// one class of events each, so what was judged may have gone in a batch before this one.
Status Projection::On(const At& at, const model::SightingJudged& event) {
  WM_ASSIGN_OR_RETURN(Place* const place, places_.At(at.endpoint, at.write.path_sha256));
  base::WallTime judged = at.time;
  if (place->verdict) {
    judged = std::max(judged, place->verdict->judged);
    if (place->verdict->judged < judged) {
      place->past.emplace_back(*std::move(place->verdict), judged);
    }
  }
  place->verdict = {ColumnsOf(event.verdict), at.write.blob, judged};
  place->judged = true;
  if (!place->open || place->open->first_seen > judged) place->late.push_back(*place->verdict);
  return {};
}

// An endpoint that has lost its journal knows nothing of what it told, and tells all of it anew. In
// any other chain it goes on telling what changes.
Status Projection::On(const At& at, const model::ChainStarted& event) {
  if (event.reason != model::ChainReason::kJournalLost) return {};
  coverage_bytes_.erase(at.endpoint);
  return DropAllCoverage(database_, at.endpoint, at.time);
}

Status Projection::On(const At& at, const model::CoverageChanged& event) {
  if (event.coverage.sensor == kServerSensor) return {};  // not the endpoint's word
  WM_ASSIGN_OR_RETURN(std::size_t* const bytes, CoverageBytes(at.endpoint));
  const CoverageKey key{at.endpoint, event.coverage.sensor, at.write.path_sha256};
  WM_ASSIGN_OR_RETURN(const std::size_t before, CoverageCost(key));
  const bool removed = event.coverage.reason == model::CoverageReason::kRootRemoved;
  const std::size_t after = kCoverageRowBytes + at.write.blob.size();
  if (!removed && *bytes - before + after <= base::limits::kMaxCoverageBytes) {
    *bytes += after - before;
    return PutCoverage(database_, key, at.time, event.coverage, at.write.blob);
  }
  *bytes -= before;
  WM_RETURN_IF_ERROR(DropCoverage(database_, key, at.time));  // what it said holds no more
  if (removed) return {};
  model::Event beyond = at.write.event;
  beyond.body = model::CoverageChanged{BeyondTheLimit()};
  const EventWrite write(std::move(beyond));
  return PutCoverage(database_, {at.endpoint, kServerSensor, write.path_sha256}, at.time,
                     BeyondTheLimit(), write.blob);
}

// Of the row that this event replaces; 0 when there is none.
base::Result<std::size_t> Projection::CoverageCost(const CoverageKey& key) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_.Prepare("SELECT length(coverage) FROM coverage "
                                        "WHERE endpoint = ? AND sensor = ? AND root_sha256 = ?"));
  find.Bind(key.endpoint).Bind(key.sensor).Bind(key.root_sha256.view());
  WM_ASSIGN_OR_RETURN(const bool found, find.Step());
  return found ? kCoverageRowBytes + static_cast<std::size_t>(find.Int(0)) : 0;
}

// Summed once a transaction, because an endpoint may send many.
base::Result<std::size_t*> Projection::CoverageBytes(std::int64_t endpoint) {
  if (const auto known = coverage_bytes_.find(endpoint); known != coverage_bytes_.end()) {
    return &known->second;
  }
  WM_ASSIGN_OR_RETURN(Statement sum,
                      database_.Prepare("SELECT count(*), coalesce(sum(length(coverage)), 0) "
                                        "FROM coverage WHERE endpoint = ? AND sensor != ?"));
  WM_ASSIGN_OR_RETURN(const bool row, sum.Bind(endpoint).Bind(kServerSensor).Step());
  const std::size_t bytes = row ? static_cast<std::size_t>(sum.Int(0)) * kCoverageRowBytes +
                                      static_cast<std::size_t>(sum.Int(1))
                                : 0;
  return &coverage_bytes_.emplace(endpoint, bytes).first->second;
}

// Said again it is in force since it was said first. A clock that went back makes no policy older
// than the one that it replaces, so intervals never overlap.
Status Projection::On(const At& at, const model::PolicyApplied& event) {
  {
    WM_ASSIGN_OR_RETURN(Statement find,
                        database_.Prepare("SELECT 1 FROM endpoints WHERE id = ? AND "
                                          "policy_version = ? AND policy_manifest = ? AND "
                                          "policy_partly = ? AND policy_since_us IS NOT NULL"));
    find.Bind(at.endpoint).Bind(Column(event.version)).Bind(event.manifest.view());
    WM_ASSIGN_OR_RETURN(const bool same, find.Bind(std::int64_t{event.partly}).Step());
    if (same) return {};
  }
  WM_ASSIGN_OR_RETURN(
      Statement keep,
      database_.Prepare("INSERT INTO past_policies SELECT id, policy_since_us, ?1, policy_version, "
                        "policy_partly FROM endpoints WHERE id = ?2 AND policy_since_us < ?1"));
  WM_RETURN_IF_ERROR(keep.Bind(Column(at.time)).Bind(at.endpoint).Run());
  WM_ASSIGN_OR_RETURN(
      Statement forget,
      database_.Prepare("DELETE FROM past_policies WHERE endpoint = ?1 AND from_us <= (SELECT "
                        "from_us FROM past_policies WHERE endpoint = ?1 ORDER BY from_us DESC "
                        "LIMIT 1 OFFSET ?2)"));
  WM_RETURN_IF_ERROR(forget.Bind(at.endpoint).Bind(Column(base::limits::kMaxPastIntervals)).Run());
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database_.Prepare("UPDATE endpoints SET policy_version = ?, policy_manifest = ?, "
                        "policy_partly = ?, policy_since_us = max(coalesce(policy_since_us, ?4), "
                        "?4) WHERE id = ?"));
  return put.Bind(Column(event.version))
      .Bind(event.manifest.view())
      .Bind(std::int64_t{event.partly})
      .Bind(Column(at.time))
      .Bind(at.endpoint)
      .Run();
}

Status Projection::On(const At& at, const model::AgentStarted& event) {
  WM_ASSIGN_OR_RETURN(
      Statement put, database_.Prepare("UPDATE endpoints SET hostname = ?, os = ?, os_release = ?, "
                                       "agent_version = ? WHERE id = ?"));
  return put.Bind(event.hostname)
      .Bind(event.os)
      .Bind(event.os_release)
      .Bind(event.version)
      .Bind(at.endpoint)
      .Run();
}

}  // namespace weighmaster::server::store
