#include "server/store/sqlite/projection/coverage_table.h"

#include <array>

#include "policy/base/bytes.h"
#include "server/store/sqlite/columns/rows.h"

namespace weighmaster::server::store {
namespace {

using base::Status;
using sqlite::Statement;

// Ends what holds at ?1 and moves it among what is past. Each takes ?1, also the last one, which
// takes the newest word itself away.
#define WM_END(which)                                                                             \
  {                                                                                               \
    "DELETE FROM past_coverage WHERE " which " AND from_us >= ?1",                                \
        "UPDATE past_coverage SET until_us = ?1 WHERE " which " AND until_us > ?1",               \
        "INSERT INTO past_coverage SELECT endpoint, sensor, root_sha256, changed_us, ?1, state, " \
        "reason, coverage FROM coverage WHERE " which " AND changed_us < ?1",                     \
        "DELETE FROM coverage WHERE " which " AND ?1 IS NOT NULL"                                 \
  }
using Statements = std::array<std::string_view, 4>;
constexpr Statements kEndOne = WM_END("endpoint = ?2 AND sensor = ?3 AND root_sha256 = ?4");
constexpr Statements kEndAll = WM_END("endpoint = ?2");
#undef WM_END

}  // namespace

Status PutCoverage(sqlite::Database& database, const CoverageKey& key, base::WallTime time,
                   const model::Coverage& coverage, std::string_view blob) {
  {
    // Said again it holds since it was said first.
    WM_ASSIGN_OR_RETURN(Statement find,
                        database.Prepare("SELECT 1 FROM coverage WHERE endpoint = ? AND sensor = ? "
                                         "AND root_sha256 = ? AND coverage = ? AND "
                                         "changed_us <= ?"));
    find.Bind(key.endpoint).Bind(key.sensor).Bind(key.root_sha256.view());
    WM_ASSIGN_OR_RETURN(const bool same, find.Bind(base::AsBytes(blob)).Bind(Column(time)).Step());
    if (same) return {};
  }
  WM_RETURN_IF_ERROR(DropCoverage(database, key, time));
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database.Prepare("INSERT INTO coverage (endpoint, sensor, root_sha256, state, reason, "
                       "coverage, changed_us) VALUES (?, ?, ?, ?, ?, ?, ?)"));
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
  for (const std::string_view sql : kEndOne) {
    WM_ASSIGN_OR_RETURN(Statement end, database.Prepare(sql));
    WM_RETURN_IF_ERROR(end.Bind(Column(time))
                           .Bind(key.endpoint)
                           .Bind(key.sensor)
                           .Bind(key.root_sha256.view())
                           .Run());
  }
  return {};
}

Status DropAllCoverage(sqlite::Database& database, std::int64_t endpoint, base::WallTime time) {
  for (const std::string_view sql : kEndAll) {
    WM_ASSIGN_OR_RETURN(Statement end, database.Prepare(sql));
    WM_RETURN_IF_ERROR(end.Bind(Column(time)).Bind(endpoint).Run());
  }
  return {};
}

}  // namespace weighmaster::server::store
