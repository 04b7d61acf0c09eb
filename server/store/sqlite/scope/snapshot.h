#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/base/limits.h"
#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/digest.h"
#include "server/store/labels.h"
#include "third_party/sqlite/database.h"

namespace weighmaster::server::store {

// One moment of the store for all statements of one question, in which only the endpoints of a
// scope exist. It is the one place that narrows anything to a scope: a statement is written for the
// whole fleet, and where it says the name of a table that speaks of endpoints it reads, for a
// narrower scope, a view of that table's rows in scope. So no query can forget one. For the whole
// fleet a statement is prepared as it is written.
//
// Of a narrower scope the connection keeps the endpoints in tables of its own, in memory, until the
// next one. Ends when it goes out of scope. A table is meant whole where its name begins with
// `main.`.
class Snapshot {
 public:
  // FAILED_PRECONDITION from a statement of it that takes longer than the limit.
  static base::Result<Snapshot> Begin(
      sqlite::Database& database, const Scope& scope,
      std::optional<base::Duration> limit = base::limits::kMaxQueryTime);
  Snapshot(Snapshot&& other) noexcept;
  Snapshot& operator=(Snapshot&&) = delete;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

  bool is_whole_fleet() const { return whole_fleet_; }

  // As those of Database.
  base::Result<sqlite::Statement> Prepare(std::string_view sql) const;
  base::Result<sqlite::Statement> PrepareOnce(const std::string& sql) const;

  // The small number. NOT_FOUND when there is no such endpoint in the scope.
  base::Result<std::int64_t> FindEndpoint(const model::Id& endpoint) const;

  // For what is asked by such a number, which is of the scope then.
  sqlite::Database& database() const { return *database_; }

 private:
  Snapshot(sqlite::Database& database, bool whole_fleet)
      : database_(&database), whole_fleet_(whole_fleet) {}
  base::Status Keep(const Scope& scope) const;

  sqlite::Database* database_;  // null once moved from
  bool whole_fleet_;
};

}  // namespace weighmaster::server::store
