#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "third_party/sqlite/database.h"

namespace weighmaster::bench {

// The rows that an ingest has written, read back from its store, and the time that SQLite takes to
// insert just these with nothing around: prepared statements, as many transactions, the same tables
// and indexes, the same durability.
class BareRows {
 public:
  // What is in `store` and not in `before`, which is a copy of it from an earlier time.
  BareRows(const std::string& store, const std::string& before);

  // Inserts them into `target`, another such copy.
  double SecondsToInsert(const std::string& target, std::size_t transactions) const;

  std::size_t size() const;

 private:
  using Value = std::variant<std::monostate, std::int64_t, std::string, base::Bytes>;
  using Row = std::vector<Value>;
  struct Rows {
    std::string insert;
    std::vector<Row> rows;
    bool first = false;
  };

  static Row ReadRow(const sqlite::Statement& select, const std::vector<std::string>& types);
  static void BindRow(const Row& row, sqlite::Statement& insert);
  static void Insert(sqlite::Database& database, const Rows& table, std::size_t begin,
                     std::size_t end);

  std::vector<Rows> tables_;
};

}  // namespace weighmaster::bench
