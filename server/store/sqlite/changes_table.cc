#include "server/store/sqlite/changes_table.h"

#include "policy/base/limits.h"
#include "server/store/sqlite/rows.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using sqlite::Statement;

base::ByteView IdColumn(const std::optional<model::Id>& id) {
  return id ? id->view() : base::ByteView();
}

Result<std::optional<model::Id>> ReadId(const Statement& row, int column) {
  if (row.Blob(column).empty()) return std::optional<model::Id>();
  WM_ASSIGN_OR_RETURN(const auto id, Stored(model::IdFromBytes(row.Blob(column)), "id"));
  return std::optional(id);
}

Result<Change> ReadChange(const Statement& row) {
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

Result<ChangePage> ReadChanges(sqlite::Database& database, std::optional<std::uint64_t> after,
                               std::size_t size) {
  ChangePage page;
  {
    // Positions grow for ever, also over what was forgotten.
    WM_ASSIGN_OR_RETURN(
        Statement find,
        database.Prepare(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), "
            "0), coalesce((SELECT min(position) FROM changes), 1)"));
    WM_RETURN_IF_ERROR(find.Step());
    page.next = Number(find, 0);
    if (!after.has_value()) return page;
    if (*after > page.next || *after + 1 < Number(find, 1)) {
      return base::OutOfRange(
          "what changed since this position is not kept any more; read the "
          "lists again, and go on from where it stands now");
    }
  }
  WM_ASSIGN_OR_RETURN(Statement rows,
                      database.Prepare("SELECT position, time_us, topic, endpoint, chain, number, "
                                       "count FROM changes WHERE position > ? ORDER BY position "
                                       "LIMIT ?"));
  rows.Bind(Column(*after)).Bind(Column(size));
  page.next = *after;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return page;
    WM_ASSIGN_OR_RETURN(const Change change, ReadChange(rows));
    page.rows.push_back(change);
    page.next = change.position;
  }
}

}  // namespace weighmaster::server::store
