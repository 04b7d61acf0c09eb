#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/store/sqlite/lists/list_tables.h"
#include "server/store/sqlite/scope/snapshot.h"
#include "server/store/values.h"

namespace weighmaster::server::store {

// What a list is narrowed to before any filter: SQL whose parameters are ?1, ?2 … of `values`.
struct ListScope {
  std::string where = "TRUE";
  std::vector<query::Value> values;
  // Counts the scope; the parameters are those of `values`. Empty: the table's
  // rows, as `where` has them.
  std::string count_sql;

  // `condition` says $ where the value belongs.
  void Narrow(std::int64_t value, std::string_view condition);
};

// Which rows a page has: their keys in order. The rows themselves are read by key, so that a list
// is walked over as little as its filter and its order need.
struct ListKeys {
  std::vector<std::int64_t> keys;
  std::optional<query::Position> next;
  std::uint64_t total = 0;
  bool total_is_least = false;
};

// What a page says beside its rows.
template <typename Row>
void PutPage(const ListKeys& keys, Page<Row>& page) {
  page.next = keys.next;
  page.total = keys.total;
  page.total_is_least = keys.total_is_least;
}

base::Result<std::uint64_t> CountScope(const Snapshot& snapshot, const ListScope& scope);

// The first page of a filter walks over up to limits::kMaxCountedRows rows in any order, to count;
// when these are all, they are sorted here. Otherwise, and for every other page, the walk is in
// order.
base::Result<ListKeys> FindKeys(const Snapshot& snapshot, const ListTable& table,
                                const ListScope& scope, const PageQuery& query);

}  // namespace weighmaster::server::store
