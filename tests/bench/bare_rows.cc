#include "tests/bench/bare_rows.h"

#include <string_view>

#include "tests/bench/bench.h"

namespace weighmaster::bench {
namespace {

struct Table {
  std::string_view name;
  std::string_view kinds;  // of its columns: integer, text, blob
  std::string_view key;    // what tells a row from those that were there before
};
// docs/formats/server-store.md. A chain's row is only updated, once a batch.
constexpr Table kTables[] = {
    {"artifacts", "ib", "id"},
    {"batches", "iiiiiibbbii", "chain, number"},
    {"events", "iiiiibbb", "chain, number"},
    {"sightings", "iibbitibiiii", "id"},
    {"verdicts", "ibibi", "endpoint, path_sha256"},
};

std::string InsertOf(const Table& table) {
  std::string sql = "INSERT INTO " + std::string(table.name) + " VALUES (?";
  for (std::size_t i = 1; i < table.kinds.size(); ++i) sql += ", ?";
  return sql + ")";
}

}  // namespace

BareRows::BareRows(const std::string& store, const std::string& before) {
  const auto database = Must(sqlite::Database::Open(store));
  Must(database->Execute("ATTACH '" + before + "' AS before"));
  for (const Table& table : kTables) {
    Rows rows{InsertOf(table), {}};
    const std::string name(table.name);
    const std::string key(table.key);
    const std::string sql = "SELECT * FROM main." + name + " WHERE (" + key + ") NOT IN (SELECT " +
                            key + " FROM before." + name + ")";
    sqlite::Statement select = Must(database->Prepare(sql));
    while (Must(select.Step())) {
      Row row;
      for (int i = 0; i < static_cast<int>(table.kinds.size()); ++i) {
        const char kind = table.kinds[static_cast<std::size_t>(i)];
        if (select.IsNull(i)) {
          row.emplace_back();
        } else if (kind == 'i') {
          row.emplace_back(select.Int(i));
        } else if (kind == 't') {
          row.emplace_back(select.Text(i));
        } else {
          const base::ByteView blob = select.Blob(i);
          row.emplace_back(base::Bytes(blob.begin(), blob.end()));
        }
      }
      rows.rows.push_back(std::move(row));
    }
    tables_.push_back(std::move(rows));
  }
}

std::size_t BareRows::size() const {
  std::size_t sum = 0;
  for (const Rows& table : tables_) sum += table.rows.size();
  return sum;
}

double BareRows::SecondsToInsert(const std::string& target, std::size_t transactions) const {
  const auto database = Must(sqlite::Database::Open(target));
  const Stopwatch watch;
  for (std::size_t part = 0; part < transactions; ++part) {
    sqlite::Transaction transaction = Must(sqlite::Transaction::Begin(*database));
    for (const Rows& table : tables_) {
      sqlite::Statement insert = Must(database->Prepare(table.insert));
      const std::size_t end = table.rows.size() * (part + 1) / transactions;
      for (std::size_t i = table.rows.size() * part / transactions; i < end; ++i) {
        for (const Value& value : table.rows[i]) {
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
        Must(insert.Run());
      }
    }
    Must(transaction.Commit());
  }
  return watch.Seconds();
}

}  // namespace weighmaster::bench
