#include "server/store/sqlite/projection.h"

#include <string>
#include <variant>

#include "proto/wire/convert.h"
#include "server/store/sqlite/rows.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::server::store {
namespace {

using base::Status;
using sqlite::Statement;

// The path has columns of its own.
std::string SightingColumn(const model::Sighting& sighting) {
  v1::Sighting message;
  wire::ToProto(sighting, message);
  message.clear_path();
  return message.SerializeAsString();
}

// The endpoint may say any time at all.
base::WallTime Corrected(base::WallTime wall, base::Duration offset) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(base::ToMicroseconds(wall), offset.count(), &sum)) return wall;
  return base::WallTimeFromMicroseconds(sum);
}

}  // namespace

Status Projection::Apply(std::int64_t endpoint, base::Duration clock_offset,
                         const model::Event& event) {
  const At at{endpoint, Corrected(event.wall, clock_offset)};
  return std::visit([&](const auto& body) { return On(at, body); }, event.body);
}

base::Result<std::int64_t> Projection::Artifact(const model::Sha256& sha256) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database_.Prepare("SELECT id FROM artifacts WHERE sha256 = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(sha256.view()).Step());
  if (found) return find.Int(0);
  WM_ASSIGN_OR_RETURN(Statement add,
                      database_.Prepare("INSERT INTO artifacts (sha256) VALUES (?)"));
  WM_RETURN_IF_ERROR(add.Bind(sha256.view()).Run());
  return database_.LastInsertId();
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
  const model::Sha256 path_key = PathKey(sighting.path);
  std::optional<std::int64_t> artifact;
  if (sighting.digest.sha256.has_value()) {
    WM_ASSIGN_OR_RETURN(artifact, Artifact(*sighting.digest.sha256));
  }
  std::int64_t open_id = 0;
  bool same_artifact = false;
  {
    WM_ASSIGN_OR_RETURN(Statement find,
                        database_.Prepare("SELECT id, artifact FROM sightings WHERE endpoint = ? "
                                          "AND path_sha256 = ? AND gone_us IS NULL"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(at.endpoint).Bind(path_key.view()).Step());
    if (found) {
      open_id = find.Int(0);
      same_artifact = find.IsNull(1) || (artifact.has_value() && find.Int(1) == *artifact);
    }
  }
  if (open_id == 0) return OpenInterval(at, sighting, path_key, artifact);
  if (!same_artifact) {
    WM_ASSIGN_OR_RETURN(Statement close, database_.Prepare("UPDATE sightings SET gone_us = ?, "
                                                           "gone_reason = NULL WHERE id = ?"));
    WM_RETURN_IF_ERROR(close.Bind(Column(at.time)).Bind(open_id).Run());
    return OpenInterval(at, sighting, path_key, artifact);
  }
  WM_ASSIGN_OR_RETURN(Statement update,
                      database_.Prepare("UPDATE sightings SET artifact = ?, sighting = ?, "
                                        "last_change_us = ? WHERE id = ?"));
  const std::string bytes = SightingColumn(sighting);
  return update.Bind(artifact).Bind(base::AsBytes(bytes)).Bind(Column(at.time)).Bind(open_id).Run();
}

Status Projection::OpenInterval(const At& at, const model::Sighting& sighting,
                                const model::Sha256& path_key,
                                std::optional<std::int64_t> artifact) {
  WM_ASSIGN_OR_RETURN(
      Statement add,
      database_.Prepare("INSERT INTO sightings (endpoint, path_sha256, path, path_encoding, "
                        "path_display, artifact, sighting, first_seen_us, last_change_us) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  const std::string bytes = SightingColumn(sighting);
  return add.Bind(at.endpoint)
      .Bind(path_key.view())
      .Bind(base::AsBytes(sighting.path.bytes))
      .Bind(EnumColumn(sighting.path.encoding))
      .Bind(sighting.path.ToDisplay())
      .Bind(artifact)
      .Bind(base::AsBytes(bytes))
      .Bind(Column(at.time))
      .Bind(Column(at.time))
      .Run();
}

Status Projection::On(const At& at, const model::SightingGone& event) {
  WM_ASSIGN_OR_RETURN(Statement close,
                      database_.Prepare("UPDATE sightings SET gone_us = ?, gone_reason = ? WHERE "
                                        "endpoint = ? AND path_sha256 = ? AND gone_us IS NULL"));
  return close.Bind(Column(at.time))
      .Bind(EnumColumn(event.reason))
      .Bind(at.endpoint)
      .Bind(PathKey(event.path).view())
      .Run();
}

Status Projection::On(const At& at, const model::SightingJudged& event) {
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database_.Prepare("INSERT INTO verdicts (endpoint, path_sha256, outcome, verdict, judged_us) "
                        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (endpoint, path_sha256) DO UPDATE SET "
                        "outcome = excluded.outcome, verdict = excluded.verdict, "
                        "judged_us = excluded.judged_us"));
  v1::Verdict message;
  wire::ToProto(event.verdict, message);
  const std::string bytes = message.SerializeAsString();
  return put.Bind(at.endpoint)
      .Bind(PathKey(event.path).view())
      .Bind(EnumColumn(event.verdict.outcome))
      .Bind(base::AsBytes(bytes))
      .Bind(Column(at.time))
      .Run();
}

Status Projection::On(const At& at, const model::CoverageChanged& event) {
  if (event.coverage.reason == model::CoverageReason::kRootRemoved) {
    WM_ASSIGN_OR_RETURN(Statement forget,
                        database_.Prepare("DELETE FROM coverage WHERE endpoint = ? AND sensor = ? "
                                          "AND root_sha256 = ?"));
    return forget.Bind(at.endpoint)
        .Bind(event.coverage.sensor)
        .Bind(PathKey(event.coverage.root).view())
        .Run();
  }
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database_.Prepare("INSERT INTO coverage (endpoint, sensor, root_sha256, state, reason, "
                        "coverage, changed_us) VALUES (?, ?, ?, ?, ?, ?, ?) "
                        "ON CONFLICT (endpoint, sensor, root_sha256) DO UPDATE SET "
                        "state = excluded.state, reason = excluded.reason, "
                        "coverage = excluded.coverage, changed_us = excluded.changed_us"));
  v1::Coverage message;
  wire::ToProto(event.coverage, message);
  const std::string bytes = message.SerializeAsString();
  return put.Bind(at.endpoint)
      .Bind(event.coverage.sensor)
      .Bind(PathKey(event.coverage.root).view())
      .Bind(EnumColumn(event.coverage.state))
      .Bind(EnumColumn(event.coverage.reason))
      .Bind(base::AsBytes(bytes))
      .Bind(Column(at.time))
      .Run();
}

Status Projection::On(const At& at, const model::PolicyApplied& event) {
  WM_ASSIGN_OR_RETURN(Statement put,
                      database_.Prepare("UPDATE endpoints SET policy_version = ?, "
                                        "policy_manifest = ?, policy_partly = ? WHERE id = ?"));
  return put.Bind(Column(event.version))
      .Bind(event.manifest.view())
      .Bind(std::int64_t{event.partly})
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
