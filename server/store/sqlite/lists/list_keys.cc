#include "server/store/sqlite/lists/list_keys.h"

#include <algorithm>
#include <span>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"
#include "server/store/sqlite/columns/rows.h"

namespace weighmaster::server::store {
namespace {

using base::Result;
using query::Comparison;
using query::Filter;
using query::Value;
using sqlite::Statement;
namespace limits = base::limits;

std::string Replaced(std::string_view text, std::string_view by) {
  std::string out;
  for (const char c : text) {
    if (c == '$') {
      out += by;
    } else {
      out += c;
    }
  }
  return out;
}

// Whether its column holds text; what is lacking is empty then.
bool IsText(query::FieldType type) {
  return type == query::FieldType::kText || type == query::FieldType::kSet;
}

// A SELECT of keys as it is put together. Values are parameters, never text.
class KeyQuery {
 public:
  KeyQuery(const ListTable& table, const ListScope& scope) : table_(table), values_(scope.values) {
    where_ = scope.where;
    types_.assign(values_.size(), query::FieldType::kId);
  }

  void Narrow(const Filter& filter) {
    const std::span<const Filter> parts =
        filter.kind == Filter::Kind::kAll ? std::span(filter.parts) : std::span(&filter, 1);
    for (const Filter& part : parts) {
      if (part.kind != Filter::Kind::kTerm) continue;
      const ListColumn& column = ColumnOf(table_, *part.term.field);
      if (!IsIndexed(part)) {
        scan_index_ = column.scan_index.empty() ? scan_index_ : column.scan_index;
        continue;
      }
      if (by_ == nullptr || column.rank < by_->rank) by_ = &column;
    }
    for (const Filter& part : parts) where_ += " AND " + Sql(part, false);
  }

  // What comes after a position: (a, b, key) > (?, ?, ?), where each has its direction. The bound
  // on the first alone lets an index begin there.
  void Begin(const query::Order& order, const query::Position& after) {
    std::string equal;
    std::string any;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::string column = OrderSql(*order[i].field);
      const std::string value = Parameter(*order[i].field, after.values[i]);
      const std::string beyond = order[i].descending ? " < " : " > ";
      if (i == 0) where_ += " AND " + column + (order[i].descending ? " <= " : " >= ") + value;
      any += "(" + equal + column + beyond + value + ") OR ";
      equal += column + " = " + value + " AND ";
    }
    const bool descends = query::KeyDescends(table_.list, order);
    values_.emplace_back(after.key);
    types_.push_back(query::FieldType::kNumber);
    any += "(" + equal + std::string(table_.key) + (descends ? " < ?" : " > ?") +
           std::to_string(values_.size()) + ")";
    where_ += " AND (" + any + ")";
  }

  // The key first, then the order's values.
  std::string Unordered(const query::Order& order, std::size_t rows) const {
    const bool scans = by_ == nullptr && !scan_index_.empty();
    return Select(order, scans ? scan_index_ : std::string_view()) + " LIMIT " +
           std::to_string(rows);
  }
  std::string Ordered(const query::Order& order, std::size_t rows) const {
    std::string by;
    for (const query::OrderTerm& term : order) {
      by += OrderSql(*term.field) + (term.descending ? " DESC, " : ", ");
    }
    if (order.empty() && by_ != nullptr && by_->follows_key) by += "+";  // not along the key
    by += std::string(table_.key) + (query::KeyDescends(table_.list, order) ? " DESC" : "");
    const bool along_index = by_ == nullptr && !order.empty();
    const std::string_view index =
        along_index ? ColumnOf(table_, *order.front().field).scan_index : std::string_view();
    return Select(order, index) + " ORDER BY " + by + " LIMIT " + std::to_string(rows);
  }

  void Bind(Statement& statement) const {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const auto* const bytes = std::get_if<std::string>(&values_[i]);
      if (bytes == nullptr) {
        statement.Bind(std::get<std::int64_t>(values_[i]));
      } else if (IsText(types_[i])) {
        statement.Bind(std::string_view(*bytes));
      } else {
        statement.Bind(base::AsBytes(*bytes));
      }
    }
  }

 private:
  std::string Select(const query::Order& order, std::string_view index) const {
    std::string columns(table_.key);
    for (const query::OrderTerm& term : order) columns += ", " + OrderSql(*term.field);
    std::string from(table_.from);
    if (!index.empty()) from += " INDEXED BY " + std::string(index);
    return "SELECT " + columns + " FROM " + from + " WHERE " + where_;
  }

  // Whether an index finds what it leaves.
  bool IsIndexed(const Filter& filter) const {
    if (filter.kind != Filter::Kind::kTerm) return false;
    const ListColumn& column = ColumnOf(table_, *filter.term.field);
    if (column.rank == 0) return false;
    // Through another table: whatever is compared there.
    if (column.around_sql != "$") return true;
    return filter.term.comparison != Comparison::kEnds &&
           filter.term.comparison != Comparison::kContains &&
           filter.term.comparison != Comparison::kPresent;
  }

  // A row that lacks the field comes before all others.
  std::string OrderSql(const query::Field& field) const {
    const std::string sql(ColumnOf(table_, field).sql);
    if (!field.can_lack || IsText(field.type)) return sql;
    return "coalesce(" + sql + (query::IsBytes(field.type) ? ", x'')" : ", -9223372036854775808)");
  }

  std::string Parameter(const query::Field& field, Value value) {
    values_.push_back(std::move(value));
    types_.push_back(field.type);
    return "?" + std::to_string(values_.size());
  }

  // NOT is taken down to the comparisons, where what is NULL must become true: SQL has three values
  // of truth, the filter two.
  std::string Sql(const Filter& filter, bool negated) {
    switch (filter.kind) {
      case Filter::Kind::kTerm:
        return "(" + TermSql(filter.term) + (negated ? ") IS NOT TRUE" : ")");
      case Filter::Kind::kNot:
        return Sql(filter.parts.front(), !negated);
      case Filter::Kind::kAll:
      case Filter::Kind::kAny:
        break;
    }
    const bool all = (filter.kind == Filter::Kind::kAll) != negated;
    std::string text = "(";
    for (std::size_t i = 0; i < filter.parts.size(); ++i) {
      if (i > 0) text += all ? " AND " : " OR ";
      text += Sql(filter.parts[i], negated);
    }
    return text + ")";
  }

  std::string TermSql(const query::Term& term) {
    const ListColumn& column = ColumnOf(table_, *term.field);
    // The plus keeps SQLite from another index than the best.
    const bool aside = column.rank > 0 && by_ != nullptr && &column != by_;
    const std::string sql =
        (aside && column.around_sql == "$" ? "+" : "") + std::string(column.sql);
    std::string comparison;
    if (term.comparison == Comparison::kPresent) {
      comparison = sql + (IsText(term.field->type) ? " <> ''" : " IS NOT NULL");
    } else {
      const std::string value = Parameter(*term.field, term.value);
      comparison = CompareSql(term, sql, Replaced(column.value_sql, value), value);
    }
    const std::string around = Replaced(column.around_sql, comparison);
    return aside && column.around_sql != "$" ? "+" + around : around;
  }

  std::string CompareSql(const query::Term& term, const std::string& sql, const std::string& value,
                         const std::string& parameter) {
    switch (term.comparison) {
      case Comparison::kEqual:
        if (term.field->type == query::FieldType::kSet) {
          return "instr(" + sql + ", ' ' || " + value + " || ' ') > 0";
        }
        return sql + " = " + value;
      case Comparison::kLess:
        return sql + " < " + value;
      case Comparison::kLessOrEqual:
        return sql + " <= " + value;
      case Comparison::kGreater:
        return sql + " > " + value;
      case Comparison::kGreaterOrEqual:
        return sql + " >= " + value;
      case Comparison::kStarts: {
        // No byte of UTF-8 is as high as the last one here, and an index can be walked from bound
        // to bound.
        const std::string past = Parameter(*term.field, std::get<std::string>(term.value) + '\xff');
        return sql + " >= " + parameter + " AND " + sql + " < " + past;
      }
      case Comparison::kEnds:
        return "ends_with(" + sql + ", " + parameter + ")";
      case Comparison::kContains:
        return "contains(" + sql + ", " + parameter + ")";
      case Comparison::kPresent:
        break;
    }
    WM_CHECK(false);
    return {};
  }

  const ListTable& table_;
  const ListColumn* by_ = nullptr;  // whose index is to be used
  std::string_view scan_index_;     // otherwise
  std::string where_;
  std::vector<Value> values_;
  std::vector<query::FieldType> types_;  // parallel; those of the scope are ids or numbers
};

std::size_t SizeOf(const PageQuery& page) {
  if (page.size == 0) return limits::kDefaultPageSize;
  return std::min(page.size, limits::kMaxPageSize);
}

query::Position PositionOf(const Statement& row, const query::Order& order) {
  query::Position position;
  position.key = row.Int(0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const int column = static_cast<int>(i) + 1;
    if (query::IsBytes(order[i].field->type)) {
      position.values.emplace_back(std::string(Chars(row, column)));
    } else {
      position.values.emplace_back(row.Int(column));
    }
  }
  return position;
}

}  // namespace

void ListScope::Narrow(std::int64_t value, std::string_view condition) {
  values.emplace_back(value);
  where += " AND " + Replaced(condition, "?" + std::to_string(values.size()));
}

Result<std::uint64_t> CountScope(const Snapshot& snapshot, const ListScope& scope) {
  WM_ASSIGN_OR_RETURN(Statement count, snapshot.PrepareOnce(scope.count_sql));
  for (const Value& value : scope.values) count.Bind(std::get<std::int64_t>(value));
  WM_RETURN_IF_ERROR(count.Step());
  return Number(count, 0);
}

namespace {

using Positions = std::vector<query::Position>;

Result<Positions> Walk(const Snapshot& snapshot, const KeyQuery& keys, const std::string& sql,
                       const query::Order& order) {
  WM_ASSIGN_OR_RETURN(Statement rows, snapshot.PrepareOnce(sql));
  keys.Bind(rows);
  Positions found;
  while (true) {
    WM_ASSIGN_OR_RETURN(const bool more, rows.Step());
    if (!more) return found;
    found.push_back(PositionOf(rows, order));
  }
}

void Sort(Positions& positions, const query::List& list, const query::Order& order) {
  std::ranges::sort(positions, [&](const query::Position& a, const query::Position& b) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (a.values[i] != b.values[i]) return (a.values[i] < b.values[i]) != order[i].descending;
    }
    return query::KeyDescends(list, order) ? a.key > b.key : a.key < b.key;
  });
}

}  // namespace

Result<ListKeys> FindKeys(const Snapshot& snapshot, const ListTable& table, const ListScope& scope,
                          const PageQuery& query) {
  const std::size_t size = SizeOf(query);
  KeyQuery keys(table, scope);
  if (query.filter.has_value()) keys.Narrow(*query.filter);
  if (query.after.has_value()) keys.Begin(query.order, *query.after);
  ListKeys found;
  Positions walked;
  bool is_whole = false;
  if (query.after.has_value()) {
    found.total = query.after->total;
    found.total_is_least = query.after->total_is_least;
  } else if (query.filter.has_value()) {
    const std::string sql = keys.Unordered(query.order, limits::kMaxCountedRows + 1);
    WM_ASSIGN_OR_RETURN(walked, Walk(snapshot, keys, sql, query.order));
    is_whole = walked.size() <= limits::kMaxCountedRows;
    found.total = std::min(walked.size(), limits::kMaxCountedRows);
    found.total_is_least = !is_whole;
  } else {
    ListScope whole = scope;
    if (whole.count_sql.empty()) {
      whole.count_sql = "SELECT count(*) FROM " + std::string(table.from) + " WHERE " + scope.where;
    }
    WM_ASSIGN_OR_RETURN(found.total, CountScope(snapshot, whole));
  }
  if (is_whole) {
    Sort(walked, table.list, query.order);
  } else {
    const std::string sql = keys.Ordered(query.order, size + 1);
    WM_ASSIGN_OR_RETURN(walked, Walk(snapshot, keys, sql, query.order));
  }
  for (std::size_t i = 0; i < std::min(size, walked.size()); ++i) {
    found.keys.push_back(walked[i].key);
  }
  if (walked.size() > size) {
    found.next = std::move(walked[size - 1]);
    found.next->total = found.total;
    found.next->total_is_least = found.total_is_least;
  }
  return found;
}

}  // namespace weighmaster::server::store
