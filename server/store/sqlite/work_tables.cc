#include "server/store/sqlite/work_tables.h"

#include <optional>
#include <string>
#include <vector>

#include "policy/base/limits.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/lists/list_keys.h"

namespace weighmaster::server::store {

namespace {

using sqlite::Statement;

base::ByteView IdColumn(const std::optional<model::Id>& id) {
  return id ? id->view() : base::ByteView();
}

base::Result<std::optional<model::Id>> ReadId(const Statement& row, int column) {
  if (row.Blob(column).empty()) return std::optional<model::Id>();
  WM_ASSIGN_OR_RETURN(const auto id, Stored(model::IdFromBytes(row.Blob(column)), "id"));
  return std::optional(id);
}

base::Result<Change> ReadChange(const Statement& row) {
  Change change;
  change.position = Number(row, 0);
  change.time = Time(row, 1);
  change.topic = static_cast<ChangeTopic>(row.Int(2));
  WM_ASSIGN_OR_RETURN(change.endpoint, ReadId(row, 3));
  WM_ASSIGN_OR_RETURN(change.chain, ReadId(row, 4));
  change.number = Number(row, 5);
  change.count = Number(row, 6);
  return change;
}

Change OfFinding(std::uint64_t id, const model::Id& endpoint, base::WallTime at) {
  Change change;
  change.topic = ChangeTopic::kFinding;
  change.time = at;
  change.endpoint = endpoint;
  change.number = id;
  return change;
}

// Runs a statement that returns the id of what it changed; none where that is nothing.
base::Result<std::optional<std::uint64_t>> IdOf(Statement& returning) {
  WM_ASSIGN_OR_RETURN(const bool changed, returning.Step());
  return changed ? std::optional(Number(returning, 0)) : std::nullopt;
}

// Of a finding that is to be worked on, open or acknowledged, `resolved_us` is NULL: the indices
// know it by that.
base::Result<std::optional<std::uint64_t>> Resolve(sqlite::Database& database,
                                                   const FindingChange& change) {
  WM_ASSIGN_OR_RETURN(
      Statement resolve,
      database.Prepare("UPDATE findings SET resolved_us = ?1, state = 2, "
                       "state_since_us = max(state_since_us, ?1) WHERE dedupe_key = ?2 AND "
                       "resolved_us IS NULL RETURNING id"));
  resolve.Bind(Column(change.at)).Bind(change.dedupe_key);
  return IdOf(resolve);
}

// 4 is dismissed, which lasts until it is graver, and 3 acknowledged, which lasts.
#define WM_STAYS_DISMISSED "state = 4 AND excluded.severity <= severity"
#define WM_NEXT_STATE "CASE WHEN " WM_STAYS_DISMISSED " THEN 4 WHEN state = 3 THEN 3 ELSE 1 END"
base::Result<std::optional<std::uint64_t>> Open(sqlite::Database& database,
                                                const FindingChange& change) {
  WM_ASSIGN_OR_RETURN(
      Statement put,
      database.Prepare(
          "INSERT INTO findings (dedupe_key, rule, endpoint, subject, severity, "
          "detail, first_us, last_us, state_since_us, count) "
          "SELECT ?, ?, id, ?, ?, ?, ?6, ?6, ?6, 1 FROM endpoints WHERE endpoint_id = ? "
          "ON CONFLICT (dedupe_key) DO UPDATE SET count = count + 1, "
          "state = " WM_NEXT_STATE ", state_since_us = CASE WHEN state = " WM_NEXT_STATE
          " THEN state_since_us ELSE max(state_since_us, excluded.state_since_us) END, "
          "resolved_us = CASE WHEN " WM_STAYS_DISMISSED " THEN resolved_us ELSE NULL END, "
          "severity = CASE WHEN " WM_STAYS_DISMISSED " THEN severity ELSE excluded.severity END, "
          "detail = excluded.detail, last_us = max(last_us, excluded.last_us) RETURNING id"));
  put.Bind(change.dedupe_key)
      .Bind(change.rule)
      .Bind(change.subject)
      .Bind(EnumColumn(change.severity))
      .Bind(change.detail)
      .Bind(Column(change.at))
      .Bind(change.endpoint.view());
  return IdOf(put);
}
#undef WM_NEXT_STATE
#undef WM_STAYS_DISMISSED

}  // namespace

base::Status AddChange(sqlite::Database& database, const Change& change) {
  {
    WM_ASSIGN_OR_RETURN(Statement add,
                        database.Prepare("INSERT INTO changes (time_us, topic, endpoint, chain, "
                                         "number, count) VALUES (?, ?, ?, ?, ?, ?)"));
    WM_RETURN_IF_ERROR(add.Bind(Column(change.time))
                           .Bind(EnumColumn(change.topic))
                           .Bind(IdColumn(change.endpoint))
                           .Bind(IdColumn(change.chain))
                           .Bind(Column(change.number))
                           .Bind(Column(change.count))
                           .Run());
  }
  const std::int64_t kept = Column(base::limits::kMaxChangesKept);
  WM_ASSIGN_OR_RETURN(Statement forget,
                      database.Prepare("DELETE FROM changes WHERE position <= ?"));
  return forget.Bind(database.LastInsertId() - kept).Run();
}

base::Result<ChangePage> ReadChanges(const Snapshot& snapshot, const ChangeQuery& query) {
  ChangePage page;
  {
    // Positions grow for ever, also over what was forgotten and over what is in no scope.
    WM_ASSIGN_OR_RETURN(
        Statement find,
        snapshot.Prepare(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), "
            "0), coalesce((SELECT min(position) FROM main.changes), 1)"));
    WM_RETURN_IF_ERROR(find.Step());
    page.next = Number(find, 0);
    if (!query.after.has_value()) return page;
    if (*query.after > page.next || *query.after + 1 < Number(find, 1)) {
      return base::OutOfRange(
          "what changed since this position is not kept any more; read the "
          "lists again, and go on from where it stands now");
    }
  }
  PageQuery wanted;
  wanted.filter = query.filter;
  wanted.after.emplace().key = Column(*query.after);
  wanted.size = query.size;
  WM_ASSIGN_OR_RETURN(const ListKeys found, FindKeys(snapshot, ChangeTable(), {}, wanted));
  for (const std::int64_t position : found.keys) {
    WM_ASSIGN_OR_RETURN(Statement row,
                        snapshot.Prepare("SELECT position, time_us, topic, endpoint, chain, "
                                         "number, count FROM changes WHERE position = ?"));
    WM_RETURN_IF_ERROR(row.Bind(position).Step());
    WM_ASSIGN_OR_RETURN(const Change change, ReadChange(row));
    page.rows.push_back(change);
  }
  // After the last change that is kept, or where there may be more, after that of this page.
  if (found.next) page.next = page.rows.back().position;
  return page;
}

base::Status ApplyFinding(sqlite::Database& database, const FindingChange& change) {
  WM_ASSIGN_OR_RETURN(const auto id,
                      change.resolve ? Resolve(database, change) : Open(database, change));
  if (!id) return {};
  return AddChange(database, OfFinding(*id, change.endpoint, change.at));
}

base::Status CommentFinding(sqlite::Database& database, const Scope& scope, std::uint64_t id,
                            const FindingComment& comment) {
  model::Id endpoint;
  bool is_full = false;
  {
    WM_ASSIGN_OR_RETURN(
        Statement find,
        database.Prepare(
            "SELECT (SELECT count(*) FROM finding_comments WHERE finding = f.id), "
            "e.endpoint_id, e.labels FROM findings f JOIN endpoints e ON e.id = f.endpoint "
            "WHERE f.id = ?"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(Column(id)).Step());
    Labels labels;
    if (found) {
      WM_ASSIGN_OR_RETURN(labels, ReadLabels(find, 2));
    }
    if (!found || !scope.Has(labels)) {
      return base::NotFound("there is no finding " + std::to_string(id));
    }
    is_full = Number(find, 0) >= base::limits::kMaxFindingComments;
    if (is_full && !comment.text.empty()) {
      return base::ResourceExhausted("a finding keeps at most " +
                                     std::to_string(base::limits::kMaxFindingComments) +
                                     " comments and states; from there on it takes only a new "
                                     "state without a comment");
    }
    WM_ASSIGN_OR_RETURN(endpoint, Stored(model::IdFromBytes(find.Blob(1)), "endpoint id"));
  }
  std::optional<std::int64_t> state;
  if (comment.state) {
    state = EnumColumn(*comment.state);
    const bool closed = *comment.state == FindingState::kDismissed;
    WM_ASSIGN_OR_RETURN(
        Statement put,
        database.Prepare("UPDATE findings SET state = ?1, state_since_us = CASE WHEN state = ?1 "
                         "THEN state_since_us ELSE max(state_since_us, ?2) END, resolved_us = ?3 "
                         "WHERE id = ?4"));
    WM_RETURN_IF_ERROR(put.Bind(*state)
                           .Bind(Column(comment.at))
                           .Bind(closed ? std::optional(Column(comment.at)) : std::nullopt)
                           .Bind(Column(id))
                           .Run());
  }
  if (!is_full) {
    WM_ASSIGN_OR_RETURN(
        Statement add,
        database.Prepare("INSERT INTO finding_comments (finding, time_us, token_id, token_name, "
                         "state, text) VALUES (?, ?, ?, ?, ?, ?)"));
    WM_RETURN_IF_ERROR(add.Bind(Column(id))
                           .Bind(Column(comment.at))
                           .Bind(comment.actor.token.view())
                           .Bind(comment.actor.name)
                           .Bind(state)
                           .Bind(comment.text)
                           .Run());
  }
  return AddChange(database, OfFinding(id, endpoint, comment.at));
}

base::Result<std::vector<FindingComment>> ReadComments(sqlite::Database& database,
                                                       std::uint64_t finding) {
  WM_ASSIGN_OR_RETURN(Statement rows,
                      database.Prepare("SELECT time_us, token_id, token_name, state, text FROM "
                                       "finding_comments WHERE finding = ? ORDER BY id"));
  rows.Bind(Column(finding));
  std::vector<FindingComment> comments;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return comments;
    FindingComment& comment = comments.emplace_back();
    comment.at = Time(rows, 0);
    WM_ASSIGN_OR_RETURN(comment.actor.token, Stored(model::IdFromBytes(rows.Blob(1)), "token id"));
    comment.actor.name = rows.Text(2);
    if (!rows.IsNull(3)) comment.state = static_cast<FindingState>(rows.Int(3));
    comment.text = rows.Text(4);
  }
}

base::Result<bool> HasOpenFindings(sqlite::Database& database, const model::Id& endpoint) {
  WM_ASSIGN_OR_RETURN(Statement find,
                      database.Prepare("SELECT 1 FROM findings WHERE endpoint = (SELECT id FROM "
                                       "endpoints WHERE endpoint_id = ?) AND resolved_us IS NULL "
                                       "LIMIT 1"));
  return find.Bind(endpoint.view()).Step();
}

}  // namespace weighmaster::server::store
