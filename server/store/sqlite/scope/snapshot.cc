#include "server/store/sqlite/scope/snapshot.h"

#include <algorithm>
#include <utility>

namespace weighmaster::server::store {
namespace {

using base::Result;
using base::Status;
using sqlite::Statement;

constexpr std::string_view kTables =
    "CREATE TEMP TABLE IF NOT EXISTS scope_labels (label TEXT NOT NULL) STRICT;"
    "CREATE TEMP TABLE IF NOT EXISTS scope_endpoints (endpoint INTEGER PRIMARY KEY) STRICT;"
    "DELETE FROM temp.scope_labels;"
    "DELETE FROM temp.scope_endpoints;";
constexpr std::string_view kFill =
    "INSERT INTO temp.scope_endpoints SELECT id FROM main.endpoints WHERE NOT EXISTS "
    "(SELECT 1 FROM temp.scope_labels WHERE instr(labels, ' ' || label || ' ') = 0)";

// What a scope leaves of each table. Not made whole first: each is part of the statement that reads
// it. What belongs to no endpoint (a policy that was published, the fleet's exceptions) is
// everybody's; a token is in scope when it asks for all that the scope does.
#define WM_IN_SCOPE "IN (SELECT endpoint FROM temp.scope_endpoints)"
#define WM_ID_IN_SCOPE \
  "IN (SELECT endpoint_id FROM main.endpoints WHERE id " WM_IN_SCOPE " UNION ALL SELECT x'')"
#define WM_VIEW(table, condition) \
  table " AS NOT MATERIALIZED (SELECT * FROM main." table " WHERE " condition ")"
constexpr std::string_view kViews =
    "WITH " WM_VIEW("endpoints", "id " WM_IN_SCOPE) ", "
    WM_VIEW("sightings", "endpoint " WM_IN_SCOPE) ", "
    WM_VIEW("chains", "endpoint " WM_IN_SCOPE) ", "
    WM_VIEW("coverage", "endpoint " WM_IN_SCOPE) ", "
    WM_VIEW("past_coverage", "endpoint " WM_IN_SCOPE) ", "
    WM_VIEW("past_policies", "endpoint " WM_IN_SCOPE) ", "
    WM_VIEW("findings", "endpoint " WM_IN_SCOPE) ", "
    WM_VIEW("exception_sets", "scope " WM_ID_IN_SCOPE) ", "
    WM_VIEW("exceptions", "scope " WM_ID_IN_SCOPE) ", "
    WM_VIEW("changes", "endpoint " WM_ID_IN_SCOPE) ", "
    WM_VIEW("admin_tokens", "NOT EXISTS (SELECT 1 FROM temp.scope_labels WHERE "
            "instr(',' || scope || ',', ',' || label || ',') = 0)") " ";
#undef WM_VIEW
#undef WM_ID_IN_SCOPE
#undef WM_IN_SCOPE

// A view has no index that a statement could ask for by name; those of its table serve it.
std::string WithViews(std::string_view sql) {
  constexpr std::string_view kHint = " INDEXED BY ";
  std::string scoped(kViews);
  for (std::size_t hint = sql.find(kHint); hint != sql.npos; hint = sql.find(kHint)) {
    scoped += sql.substr(0, hint);
    sql.remove_prefix(std::min(sql.find(' ', hint + kHint.size()), sql.size()));
  }
  return scoped.append(sql);
}

}  // namespace

Result<Snapshot> Snapshot::Begin(sqlite::Database& database, const Scope& scope,
                                 std::optional<base::Duration> limit) {
  WM_RETURN_IF_ERROR(database.Execute("BEGIN"));
  database.LimitTime(limit);
  Snapshot snapshot(database, scope.is_whole_fleet());
  if (!scope.is_whole_fleet()) WM_RETURN_IF_ERROR(snapshot.Keep(scope));
  return snapshot;
}

Snapshot::Snapshot(Snapshot&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)), whole_fleet_(other.whole_fleet_) {}

Snapshot::~Snapshot() {
  if (database_ == nullptr) return;
  database_->LimitTime(std::nullopt);
  if (database_->in_transaction()) static_cast<void>(database_->Execute("COMMIT"));
}

Status Snapshot::Keep(const Scope& scope) const {
  WM_RETURN_IF_ERROR(database_->Execute(std::string(kTables)));
  WM_ASSIGN_OR_RETURN(Statement add,
                      database_->Prepare("INSERT INTO temp.scope_labels (label) VALUES (?)"));
  for (const std::string& label : LabelWords(scope.labels())) {
    WM_RETURN_IF_ERROR(add.Bind(label).Run());
  }
  WM_ASSIGN_OR_RETURN(Statement fill, database_->Prepare(kFill));
  return fill.Run();
}

Result<Statement> Snapshot::Prepare(std::string_view sql) const {
  return whole_fleet_ ? database_->Prepare(sql) : database_->Prepare(WithViews(sql));
}

Result<Statement> Snapshot::PrepareOnce(const std::string& sql) const {
  return database_->PrepareOnce(whole_fleet_ ? sql : WithViews(sql));
}

Result<std::int64_t> Snapshot::FindEndpoint(const model::Id& endpoint) const {
  WM_ASSIGN_OR_RETURN(Statement find, Prepare("SELECT id FROM endpoints WHERE endpoint_id = ?"));
  WM_ASSIGN_OR_RETURN(const bool found, find.Bind(endpoint.view()).Step());
  if (!found) return base::NotFound("there is no endpoint " + endpoint.ToHex());
  return find.Int(0);
}

}  // namespace weighmaster::server::store
