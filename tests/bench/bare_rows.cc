#include "tests/bench/bare_rows.h"

#include <array>
#include <string_view>

#include "tests/bench/bench.h"

namespace weighmaster::bench {
namespace {

struct Table {
  std::string_view name;
  std::string_view key;  // what tells a row from those that were there before
  bool first = false;    // others refer to it, so all of it goes into the first transaction
};
// docs/formats/server-store.md. A chain's row is only updated, once a batch.
constexpr Table kTables[] = {
    {"artifacts", "id", true},
    {"batches", "chain, number"},
    {"events", "chain, number"},
    {"sightings", "id"},
    {"verdicts", "endpoint, path_sha256"},
    {"past_verdicts", "endpoint, path_sha256, from_us"},
};

// The types of a table's columns as the schema declares them: INTEGER, TEXT, BLOB.
std::vector<std::string> ColumnTypes(sqlite::Database& database, const std::string& table) {
  sqlite::Statement select = Must(database.Prepare("SELECT type FROM pragma_table_info(?)"));
  select.Bind(table);
  std::vector<std::string> types;
  while (Must(select.Step())) types.emplace_back(select.Text(0));
  return types;
}

std::string InsertOf(const std::string& table, std::size_t columns) {
  std::string sql = "INSERT INTO " + table + " VALUES (?";
  for (std::size_t i = 1; i < columns; ++i) sql += ", ?";
  return sql + ")";
}

}  // namespace

BareRows::Row BareRows::ReadRow(const sqlite::Statement& select,
                                const std::vector<std::string>& types) {
  Row row;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const int column = static_cast<int>(i);
    if (select.IsNull(column)) {
      row.emplace_back();
    } else if (types[i] == "INTEGER") {
      row.emplace_back(select.Int(column));
    } else if (types[i] == "TEXT") {
      row.emplace_back(select.Text(column));
    } else {
      const base::ByteView blob = select.Blob(column);
      row.emplace_back(base::Bytes(blob.begin(), blob.end()));
    }
  }
  return row;
}

void BareRows::BindRow(const Row& row, sqlite::Statement& insert) {
  for (const Value& value : row) {
    if (const auto* const number = std::get_if<std::int64_t>(&value)) {
      insert.Bind(*number);
    } else if (const auto* const text = std::get_if<std::string>(&value)) {
      insert.Bind(std::string_view(*text));
    } else if (const auto* const blob = std::get_if<base::Bytes>(&value)) {
      insert.Bind(base::ByteView(*blob));
    } else {
      insert.BindNull();
    }
  }
}

BareRows::BareRows(const std::string& store, const std::string& before) {
  std::array<std::string, std::size(kTables)> queries;  // the database keeps views of them
  const auto database = Must(sqlite::Database::Open(store));
  Must(database->Execute("ATTACH '" + before + "' AS before"));
  for (std::size_t t = 0; t < std::size(kTables); ++t) {
    const Table& table = kTables[t];
    const std::string name(table.name);
    const std::string key(table.key);
    const std::vector<std::string> types = ColumnTypes(*database, name);
    Rows rows{InsertOf(name, types.size()), {}, table.first};
    queries[t] = "SELECT * FROM main." + name + " WHERE (" + key + ") NOT IN (SELECT " + key +
                 " FROM before." + name + ")";
    sqlite::Statement select = Must(database->Prepare(queries[t]));
    while (Must(select.Step())) rows.rows.push_back(ReadRow(select, types));
    tables_.push_back(std::move(rows));
  }
}

std::size_t BareRows::size() const {
  std::size_t sum = 0;
  for (const Rows& table : tables_) sum += table.rows.size();
  return sum;
}

void BareRows::Insert(sqlite::Database& database, const Rows& table, std::size_t begin,
                      std::size_t end) {
  sqlite::Statement insert = Must(database.Prepare(table.insert));
  for (std::size_t i = begin; i < end; ++i) {
    BindRow(table.rows[i], insert);
    Must(insert.Run());
  }
}

double BareRows::SecondsToInsert(const std::string& target, std::size_t transactions) const {
  const auto database = Must(sqlite::Database::Open(target));
  const Stopwatch watch;
  for (std::size_t part = 0; part < transactions; ++part) {
    sqlite::Transaction transaction = Must(sqlite::Transaction::Begin(*database));
    for (const Rows& table : tables_) {
      const std::size_t begin = table.rows.size() * part / transactions;
      const std::size_t end = table.rows.size() * (part + 1) / transactions;
      if (!table.first) {
        Insert(*database, table, begin, end);
      } else if (part == 0) {
        Insert(*database, table, 0, table.rows.size());
      }
    }
    Must(transaction.Commit());
  }
  return watch.Seconds();
}

}  // namespace weighmaster::bench
