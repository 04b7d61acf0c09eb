#include "server/store/sqlite/projection/coverage_table.h"

#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/store/sqlite/columns/rows.h"

namespace weighmaster::server::store {
namespace {

using base::Status;
using sqlite::Statement;

#define WM_KEY "endpoint = ?2 AND sensor = ?3 AND root_sha256 = ?4"
constexpr std::string_view kKeep =
    "INSERT INTO past_coverage SELECT endpoint, sensor, root_sha256, changed_us, ?1, state, "
    "reason, coverage FROM coverage WHERE " WM_KEY " AND changed_us < ?1";
constexpr std::string_view kKeepAll =
    "INSERT INTO past_coverage SELECT endpoint, sensor, root_sha256, changed_us, ?1, state, "
    "reason, coverage FROM coverage WHERE endpoint = ?2 AND changed_us < ?1";
constexpr std::string_view kForget = "DELETE FROM past_coverage WHERE " WM_KEY
                                     " AND from_us <= (SELECT from_us FROM past_coverage "
                                     "WHERE " WM_KEY " ORDER BY from_us DESC LIMIT 1 OFFSET ?1)";
#undef WM_KEY

Status KeepPast(sqlite::Database& database, const CoverageKey& key, base::WallTime until) {
  for (const auto& [sql, first] : {std::pair(kKeep, Column(until)),
                                   std::pair(kForget, Column(base::limits::kMaxPastIntervals))}) {
    WM_ASSIGN_OR_RETURN(Statement run, database.Prepare(sql));
    run.Bind(first).Bind(key.endpoint).Bind(key.sensor).Bind(key.root_sha256.view());
    WM_RETURN_IF_ERROR(run.Run());
  }
  return {};
}

}  // namespace

Status PutCoverage(sqlite::Database& database, const CoverageKey& key, base::WallTime time,
                   const model::Coverage& coverage, std::string_view blob) {
  {
    // Said again it holds since it was said first.
    WM_ASSIGN_OR_RETURN(Statement find,
                        database.Prepare("SELECT 1 FROM coverage WHERE endpoint = ? AND sensor = ? "
                                         "AND root_sha256 = ? AND coverage = ?"));
    find.Bind(key.endpoint).Bind(key.sensor).Bind(key.root_sha256.view());
    WM_ASSIGN_OR_RETURN(const bool same, find.Bind(base::AsBytes(blob)).Step());
    if (same) return {};
  }
  WM_RETURN_IF_ERROR(KeepPast(database, key, time));
  // Of a root that was dropped, the newest word is among those that are past.
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database.Prepare("INSERT INTO coverage (endpoint, sensor, root_sha256, state, reason, "
                       "coverage, changed_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                       "max(?7, coalesce((SELECT until_us FROM past_coverage WHERE endpoint = ?1 "
                       "AND sensor = ?2 AND root_sha256 = ?3 ORDER BY from_us DESC LIMIT 1), ?7))) "
                       "ON CONFLICT (endpoint, sensor, root_sha256) DO UPDATE SET "
                       "state = excluded.state, reason = excluded.reason, coverage = "
                       "excluded.coverage, changed_us = max(changed_us, excluded.changed_us)"));
  return put.Bind(key.endpoint)
      .Bind(key.sensor)
      .Bind(key.root_sha256.view())
      .Bind(EnumColumn(coverage.state))
      .Bind(EnumColumn(coverage.reason))
      .Bind(base::AsBytes(blob))
      .Bind(Column(time))
      .Run();
}

Status DropCoverage(sqlite::Database& database, const CoverageKey& key, base::WallTime time) {
  WM_RETURN_IF_ERROR(KeepPast(database, key, time));
  WM_ASSIGN_OR_RETURN(Statement drop,
                      database.Prepare("DELETE FROM coverage WHERE endpoint = ? AND sensor = ? "
                                       "AND root_sha256 = ?"));
  return drop.Bind(key.endpoint).Bind(key.sensor).Bind(key.root_sha256.view()).Run();
}

Status DropAllCoverage(sqlite::Database& database, std::int64_t endpoint, base::WallTime time) {
  WM_ASSIGN_OR_RETURN(Statement keep, database.Prepare(kKeepAll));
  WM_RETURN_IF_ERROR(keep.Bind(Column(time)).Bind(endpoint).Run());
  WM_ASSIGN_OR_RETURN(Statement drop, database.Prepare("DELETE FROM coverage WHERE endpoint = ?"));
  return drop.Bind(endpoint).Run();
}

}  // namespace weighmaster::server::store
