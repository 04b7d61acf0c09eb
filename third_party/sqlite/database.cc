#include "third_party/sqlite/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "policy/base/check.h"

namespace weighmaster::sqlite {
namespace {

base::ErrorCode CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return base::ErrorCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_IOERR:
    case SQLITE_LOCKED:
      return base::ErrorCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return base::ErrorCode::kDataLoss;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return base::ErrorCode::kPermissionDenied;
    case SQLITE_CANTOPEN:
      return base::ErrorCode::kNotFound;
    case SQLITE_INTERRUPT:
      return base::ErrorCode::kFailedPrecondition;
    case SQLITE_CONSTRAINT:
      return base::ErrorCode::kAlreadyExists;
    default:
      return base::ErrorCode::kInternal;
  }
}

base::Error ErrorOf(sqlite3* handle, std::string_view what) {
  const int code = sqlite3_extended_errcode(handle);
  if ((code & 0xff) == SQLITE_FULL) {
    // Who is told of it may be far away and take the disk for the one in front of them.
    const char* const file = sqlite3_db_filename(handle, "main");
    return base::Error(CodeOf(code), "the disk of " + std::string(file == nullptr ? "" : file) +
                                         " is full; make room on it (SQLite: " + std::string(what) +
                                         ")");
  }
  if ((code & 0xff) == SQLITE_INTERRUPT) {
    return base::Error(CodeOf(code),
                       "this takes longer than it may; narrow what is asked for and try again");
  }
  return base::Error(CodeOf(code), "SQLite: " + std::string(what) + ": " + sqlite3_errmsg(handle));
}

// SQLite creates files with the umask's mode; state holds an inventory, so it is the owner's alone.
base::Status CreatePrivateFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return base::FromErrno(errno, "open " + path);
  close(fd);
  return {};
}

}  // namespace

Statement::Statement(sqlite3* database, sqlite3_stmt* statement, bool* in_use)
    : database_(database), statement_(statement), in_use_(in_use) {
  if (in_use_ != nullptr) *in_use_ = true;
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      in_use_(std::exchange(other.in_use_, nullptr)),
      next_parameter_(other.next_parameter_),
      bind_error_(other.bind_error_) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  if (in_use_ == nullptr) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  *in_use_ = false;
}

Statement& Statement::Bind(std::int64_t value) {
  const int code = sqlite3_bind_int64(statement_, next_parameter_++, value);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::Bind(std::string_view text) {
  const int code =
      sqlite3_bind_text64(statement_, next_parameter_++, text.data() == nullptr ? "" : text.data(),
                          text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::Bind(base::ByteView blob) {
  const int code = blob.empty() ? sqlite3_bind_zeroblob(statement_, next_parameter_++, 0)
                                : sqlite3_bind_blob64(statement_, next_parameter_++, blob.data(),
                                                      blob.size(), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::BindNull() {
  const int code = sqlite3_bind_null(statement_, next_parameter_++);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

base::Result<bool> Statement::Step() {
  if (bind_error_ != 0) return base::Internal("SQLite: a parameter could not be bound");
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return ErrorOf(database_, sqlite3_sql(statement_));
}

base::Status Statement::Run() {
  WM_ASSIGN_OR_RETURN(const bool row, Step());
  WM_CHECK(!row);
  sqlite3_reset(statement_);
  next_parameter_ = 1;
  return {};
}

std::int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return text == nullptr ? std::string() : std::string(text, static_cast<std::size_t>(size));
}

base::ByteView Statement::Blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? base::ByteView() : base::ByteView(data, static_cast<std::size_t>(size));
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

base::Result<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                       const OpenOptions& options) {
  if (path != ":memory:" && !options.read_only) WM_RETURN_IF_ERROR(CreatePrivateFile(path));
  sqlite3* handle = nullptr;
  const int flags =
      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  if (code != SQLITE_OK) {
    base::Error error = ErrorOf(handle, "open " + path);
    sqlite3_close(handle);
    return error;
  }
  std::unique_ptr<Database> database(new Database(handle));
  if (auto status = database->SetUp(options); !status.has_value()) {
    return std::move(status.error()).While("opening " + path);
  }
  return database;
}

namespace {

// Those of a text, or of a blob.
std::string_view BytesOf(sqlite3_value* value) {
  const auto* const data = static_cast<const char*>(sqlite3_value_blob(value));
  return data == nullptr
             ? std::string_view()
             : std::string_view(data, static_cast<std::size_t>(sqlite3_value_bytes(value)));
}

// A function of two texts that says whether something is so; of NULL it is NULL.
template <bool kIsSo(std::string_view, std::string_view)>
void Ask(sqlite3_context* context, int, sqlite3_value** values) {
  if (sqlite3_value_type(values[0]) == SQLITE_NULL) return sqlite3_result_null(context);
  sqlite3_result_int(context, kIsSo(BytesOf(values[0]), BytesOf(values[1])) ? 1 : 0);
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
bool EndsWith(std::string_view text, std::string_view end) { return text.ends_with(end); }

}  // namespace

base::Status Database::SetUp(const OpenOptions& options) {
  sqlite3_busy_timeout(handle_, 5000);
  if (!options.read_only) WM_RETURN_IF_ERROR(Execute("PRAGMA journal_mode=WAL"));
  WM_RETURN_IF_ERROR(
      Execute(options.durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
  WM_RETURN_IF_ERROR(Execute("PRAGMA foreign_keys=ON"));
  WM_RETURN_IF_ERROR(Execute("PRAGMA trusted_schema=OFF"));
  // Else every savepoint copies the pages that it changes to a file in a public folder, /var/tmp.
  WM_RETURN_IF_ERROR(Execute("PRAGMA temp_store=MEMORY"));
  WM_RETURN_IF_ERROR(Execute("PRAGMA cache_size=-" + std::to_string(options.cache_kib)));
  constexpr std::pair<const char*, void (*)(sqlite3_context*, int, sqlite3_value**)> kFunctions[] =
      {{"contains", Ask<Contains>}, {"ends_with", Ask<EndsWith>}};
  for (const auto& [name, call] : kFunctions) {
    if (sqlite3_create_function_v2(handle_, name, 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr,
                                   call, nullptr, nullptr, nullptr) != SQLITE_OK) {
      return ErrorOf(handle_, name);
    }
  }
  return {};
}

Database::~Database() {
  for (auto& [sql, cached] : statements_) {
    WM_CHECK(!cached->in_use);
    sqlite3_finalize(cached->statement);
  }
  WM_CHECK(sqlite3_close(handle_) == SQLITE_OK);
}

base::Status Database::Execute(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return ErrorOf(handle_, sql);
  }
  return {};
}

base::Result<Statement> Database::Prepare(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    found = statements_.emplace(sql, std::make_unique<Cached>()).first;
  }
  const std::unique_ptr<Cached>& cached = found->second;
  if (cached->statement != nullptr && !cached->in_use) {
    return Statement(handle_, cached->statement, &cached->in_use);
  }
  sqlite3_stmt* statement = nullptr;
  const bool keep = cached->statement == nullptr;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                         keep ? SQLITE_PREPARE_PERSISTENT : 0, &statement, nullptr) != SQLITE_OK) {
    return ErrorOf(handle_, sql);
  }
  if (!keep) return Statement(handle_, statement, nullptr);
  cached->statement = statement;
  return Statement(handle_, statement, &cached->in_use);
}

base::Result<Statement> Database::PrepareOnce(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), 0, &statement,
                         nullptr) != SQLITE_OK) {
    return ErrorOf(handle_, sql);
  }
  return Statement(handle_, statement, nullptr);
}

base::Status Database::AddFunction(const char* name, FunctionValue (*function)(base::ByteView)) {
  const auto call = [](sqlite3_context* context, int, sqlite3_value** values) {
    if (sqlite3_value_type(values[0]) == SQLITE_NULL) return sqlite3_result_null(context);
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_value_blob(values[0]));
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(values[0]));
    const auto asked =
        reinterpret_cast<FunctionValue (*)(base::ByteView)>(sqlite3_user_data(context));
    const FunctionValue value = asked(base::ByteView(data, size));
    if (const auto* const number = std::get_if<std::int64_t>(&value)) {
      sqlite3_result_int64(context, *number);
    } else if (const auto* const text = std::get_if<std::string>(&value)) {
      sqlite3_result_text64(context, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    } else {
      sqlite3_result_null(context);
    }
  };
  if (sqlite3_create_function_v2(handle_, name, 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                 reinterpret_cast<void*>(function), call, nullptr, nullptr,
                                 nullptr) != SQLITE_OK) {
    return ErrorOf(handle_, name);
  }
  return {};
}

void Database::LimitTime(std::optional<base::Duration> limit) {
  constexpr int kStepsBetweenLooks = 10'000;
  if (!limit) return sqlite3_progress_handler(handle_, 0, nullptr, nullptr);
  deadline_ = std::chrono::steady_clock::now() + *limit;
  const auto is_over = [](void* database) -> int {
    return std::chrono::steady_clock::now() >= static_cast<Database*>(database)->deadline_;
  };
  sqlite3_progress_handler(handle_, kStepsBetweenLooks, is_over, this);
}

std::int64_t Database::Changes() const { return sqlite3_changes64(handle_); }
std::int64_t Database::LastInsertId() const { return sqlite3_last_insert_rowid(handle_); }
bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

base::Status Database::Migrate(std::string_view room, std::span<const std::string_view> steps) {
  WM_RETURN_IF_ERROR(
      Execute("CREATE TABLE IF NOT EXISTS schema_versions ("
              "room TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT"));
  std::int64_t version = 0;
  {
    WM_ASSIGN_OR_RETURN(Statement find,
                        Prepare("SELECT version FROM schema_versions WHERE room = ?"));
    WM_ASSIGN_OR_RETURN(const bool found, find.Bind(room).Step());
    if (found) version = find.Int(0);
  }
  if (version > static_cast<std::int64_t>(steps.size())) {
    return base::FailedPrecondition("the tables of " + std::string(room) + " have version " +
                                    std::to_string(version) + ", newer than this program's " +
                                    std::to_string(steps.size()) + "; use the newer program");
  }
  for (auto step = static_cast<std::size_t>(version); step < steps.size(); ++step) {
    WM_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*this));
    WM_RETURN_IF_ERROR(Execute(std::string(steps[step])));
    {
      WM_ASSIGN_OR_RETURN(Statement put,
                          Prepare("INSERT INTO schema_versions (room, version) VALUES (?, ?) "
                                  "ON CONFLICT (room) DO UPDATE SET version = excluded.version"));
      WM_RETURN_IF_ERROR(put.Bind(room).Bind(static_cast<std::int64_t>(step) + 1).Run());
    }
    WM_RETURN_IF_ERROR(transaction.Commit());
  }
  return {};
}

base::Result<Transaction> Transaction::Begin(Database& database) {
  WM_RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  // SQLite itself has already rolled back after some errors (a full disk, out of memory).
  if (database_ != nullptr && database_->in_transaction()) {
    static_cast<void>(database_->Execute("ROLLBACK"));
  }
}

base::Status Transaction::Commit() {
  WM_CHECK(database_ != nullptr);
  WM_RETURN_IF_ERROR(database_->Execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace weighmaster::sqlite
