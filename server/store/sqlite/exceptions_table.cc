#include "server/store/sqlite/exceptions_table.h"

#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "proto/wire/convert.h"
#include "proto/wire/exceptions.h"
#include "server/store/sqlite/columns/rows.h"
#include "server/store/sqlite/lists/list_keys.h"
#include "server/store/sqlite/lists/list_tables.h"
#include "weighmaster/v1/exceptions.pb.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using base::Status;
using sqlite::Statement;

#define WM_EXCEPTION_COLUMNS "exception_id, sha256, weights, user, overrides, reason, expires_us"

Result<model::Exception> ReadException(const Statement& row, int column) {
  model::Exception exception;
  WM_ASSIGN_OR_RETURN(exception.id, Stored(model::IdFromBytes(row.Blob(column)), "exception id"));
  exception.of_weights = row.IsNull(column + 1);
  WM_ASSIGN_OR_RETURN(
      exception.digest,
      Stored(model::Sha256FromBytes(row.Blob(column + (exception.of_weights ? 2 : 1))), "digest"));
  exception.user = row.Text(column + 3);
  exception.overrides = row.Text(column + 4);
  exception.reason = row.Text(column + 5);
  exception.expires = Time(row, column + 6);
  return exception;
}

base::ByteView ScopeColumn(const std::optional<model::Id>& endpoint) {
  return endpoint ? endpoint->view() : base::ByteView();
}

// What its scope holds, by the rows' keys.
Result<std::map<std::int64_t, model::Exception>> Held(sqlite::Database& database,
                                                      base::ByteView scope) {
  WM_ASSIGN_OR_RETURN(Statement rows,
                      database.Prepare("SELECT id, " WM_EXCEPTION_COLUMNS
                                       " FROM exceptions WHERE scope = ? AND withdrawn_us IS "
                                       "NULL"));
  rows.Bind(scope);
  std::map<std::int64_t, model::Exception> held;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return held;
    WM_ASSIGN_OR_RETURN(held[rows.Int(0)], ReadException(rows, 1));
  }
}

Status Add(sqlite::Database& database, const ExceptionSetRecord& record,
           const model::Exception& exception) {
  WM_ASSIGN_OR_RETURN(Statement add,
                      database.Prepare("INSERT INTO exceptions (" WM_EXCEPTION_COLUMNS
                                       ", scope, version, granted_us, publisher_id, publisher) "
                                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  std::optional<base::ByteView> file;
  std::optional<base::ByteView> weights;
  (exception.of_weights ? weights : file) = exception.digest.view();
  const std::optional<Actor>& publisher = record.publisher;
  return add.Bind(exception.id.view())
      .Bind(file)
      .Bind(weights)
      .Bind(exception.user)
      .Bind(exception.overrides)
      .Bind(exception.reason)
      .Bind(Column(exception.expires))
      .Bind(ScopeColumn(record.set.endpoint))
      .Bind(Column(record.set.version))
      .Bind(Column(record.published))
      .Bind(publisher ? publisher->token.view() : base::ByteView())
      .Bind(publisher ? publisher->name : std::string())
      .Run();
}

Result<ExceptionRow> ReadRow(const Statement& row) {
  ExceptionRow read;
  WM_ASSIGN_OR_RETURN(read.exception, ReadException(row, 0));
  if (!row.Blob(7).empty()) {
    WM_ASSIGN_OR_RETURN(read.endpoint, Stored(model::IdFromBytes(row.Blob(7)), "endpoint id"));
  }
  read.version = Number(row, 8);
  read.granted = Time(row, 9);
  WM_ASSIGN_OR_RETURN(read.publisher, ReadActor(row, 10));
  read.withdrawn = MaybeTime(row, 12);
  return read;
}

}  // namespace

Status PutExceptions(sqlite::Database& database, const ExceptionSetRecord& record) {
  WM_ASSIGN_OR_RETURN(const auto held, Held(database, ScopeColumn(record.set.endpoint)));
  std::map<model::Id, const model::Exception*> added;
  for (const model::Exception& exception : record.set.exceptions) {
    added.emplace(exception.id, &exception);
  }
  for (const auto& [key, exception] : held) {
    const auto next = added.find(exception.id);
    if (next != added.end() && *next->second == exception) {
      added.erase(next);
      continue;
    }
    WM_ASSIGN_OR_RETURN(Statement end,
                        database.Prepare("UPDATE exceptions SET withdrawn_us = ? WHERE id = ?"));
    WM_RETURN_IF_ERROR(end.Bind(Column(record.published)).Bind(key).Run());
  }
  for (const model::Exception& exception : record.set.exceptions) {
    if (!added.contains(exception.id)) continue;
    WM_RETURN_IF_ERROR(Add(database, record, exception));
  }
  return {};
}

Status FillExceptions(sqlite::Database& database) {
  WM_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(database));
  {
    WM_ASSIGN_OR_RETURN(Statement look, database.Prepare("SELECT 1 FROM exceptions LIMIT 1"));
    WM_ASSIGN_OR_RETURN(const bool filled, look.Step());
    if (filled) return {};
  }
  {
    WM_ASSIGN_OR_RETURN(
        Statement sets,
        database.Prepare("SELECT signed_exceptions, published_us, publisher_id, publisher FROM "
                         "exception_sets ORDER BY id"));
    while (true) {
      WM_ASSIGN_OR_RETURN(const bool more, sets.Step());
      if (!more) break;
      WM_ASSIGN_OR_RETURN(const ExceptionSetRecord record, ReadExceptionSet(sets, 0));
      WM_RETURN_IF_ERROR(PutExceptions(database, record));
    }
  }
  return transaction.Commit();
}

Result<Page<ExceptionRow>> ReadExceptions(const Snapshot& snapshot, const ExceptionQuery& query) {
  const std::int64_t moment = query.page.as_of ? Column(*query.page.as_of) : INT64_MAX;
  ListScope wanted;
  wanted.Narrow(moment, "x.granted_us <= $");
  if (!query.include_ended) {
    wanted.where += " AND (x.withdrawn_us IS NULL OR x.withdrawn_us > ?1)";
    wanted.Narrow(Column(query.page.as_of.value_or(query.now)), "x.expires_us > $");
  }
  WM_ASSIGN_OR_RETURN(const ListKeys keys,
                      FindKeys(snapshot, ExceptionTable(), wanted, query.page));
  Page<ExceptionRow> page;
  PutPage(keys, page);
  for (const std::int64_t key : keys.keys) {
    WM_ASSIGN_OR_RETURN(
        Statement find,
        snapshot.Prepare("SELECT " WM_EXCEPTION_COLUMNS
                         ", scope, version, granted_us, publisher_id, publisher, CASE WHEN "
                         "withdrawn_us <= ?2 THEN withdrawn_us END FROM exceptions WHERE id = ?1"));
    WM_RETURN_IF_ERROR(find.Bind(key).Bind(moment).Step());
    WM_ASSIGN_OR_RETURN(ExceptionRow row, ReadRow(find));
    page.rows.push_back(std::move(row));
  }
  return page;
}

Result<ExceptionSetRecord> ReadExceptionSet(const Statement& row, int column) {
  ExceptionSetRecord record;
  WM_ASSIGN_OR_RETURN(const auto message,
                      ParseColumn<v1::SignedExceptions>(row, column, "exceptions"));
  WM_ASSIGN_OR_RETURN(record.document, Stored(wire::FromProto(message), "exceptions"));
  WM_ASSIGN_OR_RETURN(record.set,
                      Stored(wire::ParseExceptions(record.document.bytes), "exceptions"));
  record.published = Time(row, column + 1);
  WM_ASSIGN_OR_RETURN(record.publisher, ReadActor(row, column + 2));
  return record;
}

}  // namespace weighmaster::server::store
