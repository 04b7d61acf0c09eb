#include "server/store/sqlite/findings_table.h"

#include "server/store/sqlite/rows.h"

namespace weighmaster::server::store {

using sqlite::Statement;

base::Status ApplyFinding(sqlite::Database& database, const FindingChange& change) {
  if (change.resolve) {
    WM_ASSIGN_OR_RETURN(Statement resolve,
                        database.Prepare("UPDATE findings SET resolved_us = ? WHERE "
                                         "dedupe_key = ? AND resolved_us IS NULL"));
    return resolve.Bind(Column(change.at)).Bind(change.dedupe_key).Run();
  }
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database.Prepare("INSERT INTO findings (dedupe_key, rule, endpoint, subject, severity, "
                       "detail, first_us, last_us, count) "
                       "SELECT ?, ?, id, ?, ?, ?, ?, ?, 1 FROM endpoints WHERE endpoint_id = ? "
                       "ON CONFLICT (dedupe_key) DO UPDATE SET count = count + 1, "
                       "resolved_us = NULL, severity = excluded.severity, "
                       "detail = excluded.detail, last_us = max(last_us, excluded.last_us)"));
  return put.Bind(change.dedupe_key)
      .Bind(change.rule)
      .Bind(change.subject)
      .Bind(EnumColumn(change.severity))
      .Bind(change.detail)
      .Bind(Column(change.at))
      .Bind(Column(change.at))
      .Bind(change.endpoint.view())
      .Run();
}

base::Result<bool> HasOpenFindings(sqlite::Database& database, const model::Id& endpoint) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database.Prepare("SELECT 1 FROM findings WHERE endpoint = (SELECT id FROM "
                                       "endpoints WHERE endpoint_id = ?) AND resolved_us IS NULL "
                                       "LIMIT 1"));
  return find.Bind(endpoint.view()).Step();
}

}  // namespace weighmaster::server::store
