#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "policy/base/bytes.h"
#include "policy/base/result.h"
#include "policy/base/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace weighmaster::sqlite {

// A prepared statement in use. Bind parameters from 1, then Step() until it says false, or Run()
// for a statement without rows. Bound bytes are copied. Goes back to its Database's cache when it
// goes out of scope; the Database must outlive it. Belongs to the thread that owns the Database.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Each binds the next parameter, in order: statement.Bind(a).Bind(b). A failure to bind (out of
  // memory, an index past the last) is kept and returned by Step() or Run().
  Statement& Bind(std::int64_t value);
  Statement& Bind(std::string_view text);
  Statement& Bind(base::ByteView blob);
  Statement& BindNull();
  template <typename T>
  Statement& Bind(const std::optional<T>& value) {
    return value.has_value() ? Bind(*value) : BindNull();
  }

  // True: a row is there, false: the end.
  base::Result<bool> Step();
  // For statements that return no row; resets, so that the statement can be bound and run again.
  base::Status Run();

  // Columns of the current row, from 0. NULL reads as 0 or empty. Views die at the next Step().
  std::int64_t Int(int column) const;
  std::string Text(int column) const;
  base::ByteView Blob(int column) const;
  bool IsNull(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, sqlite3_stmt* statement, bool* in_use);

  sqlite3* database_;
  sqlite3_stmt* statement_;
  bool* in_use_;
  int next_parameter_ = 1;
  int bind_error_ = 0;
};

// What a function gives to SQL: NULL, a number or a text.
using FunctionValue = std::variant<std::monostate, std::int64_t, std::string>;

struct OpenOptions {
  bool read_only = false;
  // synchronous=FULL: a committed transaction survives a power cut. Off only for caches.
  bool durable = true;
  // Pages of cache, in KiB.
  int cache_kib = 2048;
};

// One connection to one SQLite file in WAL mode with foreign keys on, owned by one thread at a
// time. SQLITE_FULL comes back as RESOURCE_EXHAUSTED, a busy or locked file and an I/O error as
// UNAVAILABLE (both may pass), a corrupt one as DATA_LOSS (only a new file helps); after any error
// the transaction in progress is rolled back by Transaction's destructor and the connection stays
// usable.
class Database {
 public:
  // Creates the file (mode 0600) when it is not there. ":memory:" keeps everything in memory.
  static base::Result<std::unique_ptr<Database>> Open(const std::string& path,
                                                      const OpenOptions& options = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // One or more statements without parameters and rows: schemas and pragmas.
  base::Status Execute(const std::string& sql);

  // Compiles the SQL or takes it from the cache, which never forgets: for texts of which there are
  // few. A statement that is already in use is compiled once more.
  base::Result<Statement> Prepare(std::string_view sql);
  // Compiles SQL that was put together at run time, for one use. Values belong into parameters.
  base::Result<Statement> PrepareOnce(const std::string& sql);

  // Makes `name(blob)` a function of this connection's SQL. It must give the same for the same
  // bytes; of NULL it is NULL, and it is not asked. Every connection has `contains(text, part)`
  // and `ends_with(text, end)`, which look at bytes and so take less time than instr() and
  // substr().
  base::Status AddFunction(const char* name, FunctionValue (*function)(base::ByteView blob));

  // A statement that is still under way when so much time has passed from now on ends with
  // FAILED_PRECONDITION; none: it may take as long as it needs. Until the next call.
  void LimitTime(std::optional<base::Duration> limit);

  // Rows changed by the last INSERT, UPDATE or DELETE.
  std::int64_t Changes() const;
  std::int64_t LastInsertId() const;
  bool in_transaction() const;

  // Brings a room's tables to `version` by running the steps that it does not have yet, each in one
  // transaction. steps[i] leads from version i to i + 1. Versions are kept per room in the table
  // schema_versions, so that rooms can share a file. A newer version than steps.size() is
  // FAILED_PRECONDITION: an older program must not write a newer file.
  base::Status Migrate(std::string_view room, std::span<const std::string_view> steps);

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  base::Status SetUp(const OpenOptions& options);

  struct Cached {
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };

  sqlite3* handle_;
  std::chrono::steady_clock::time_point deadline_;  // while a limit is set
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::unordered_map<std::string, std::unique_ptr<Cached>, TextHash, std::equal_to<>> statements_;
};

// BEGIN IMMEDIATE now; rolls back on destruction unless committed. Transactions do not nest: a
// function that writes takes a Transaction& to say that one is open.
class Transaction {
 public:
  static base::Result<Transaction> Begin(Database& database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  // On an error nothing was committed.
  base::Status Commit();
  Database& database() { return *database_; }

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;  // null once committed or moved from
};

}  // namespace weighmaster::sqlite
