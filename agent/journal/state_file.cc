#include "agent/journal/state_file.h"

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

namespace weighmaster::agent::journal {
namespace {

base::Error Damaged(const std::string& path, const std::string& detail) {
  return base::DataLoss(
      "the state file " + path + " is damaged (" + detail +
      "); move it aside and start the agent again: it makes a new one, scans anew "
      "and tells the server that its journal was lost");
}

base::Status CheckWhole(sqlite::Database& database, const std::string& path) {
  WM_ASSIGN_OR_RETURN(sqlite::Statement check, database.Prepare("PRAGMA quick_check(1)"));
  WM_ASSIGN_OR_RETURN(const bool row, check.Step());
  const std::string answer = row ? check.Text(0) : "no answer";
  if (answer != "ok") return Damaged(path, answer);
  return {};
}

}  // namespace

base::Result<std::unique_ptr<sqlite::Database>> OpenStateFile(const std::string& path) {
  auto opened = sqlite::Database::Open(path);
  if (!opened.has_value()) {
    if (opened.error().code() != base::ErrorCode::kDataLoss) return std::move(opened).error();
    return Damaged(path, opened.error().message());
  }
  std::unique_ptr<sqlite::Database> database = std::move(opened).value();
  if (auto whole = CheckWhole(*database, path); !whole.has_value()) {
    if (whole.error().code() != base::ErrorCode::kDataLoss) return std::move(whole).error();
    return Damaged(path, whole.error().message());
  }
  return database;
}

base::Result<std::string> MoveStateFileAside(const std::string& path, base::WallTime now) {
  const std::string aside = path + ".damaged-" + std::to_string(base::ToMicroseconds(now));
  // The write-ahead log first: without its database it is nothing, with a new one it would be
  // poison.
  for (const std::string_view suffix : {"-wal", "-shm", ""}) {
    const std::string from = path + std::string(suffix);
    const std::string to = aside + std::string(suffix);
    if (std::rename(from.c_str(), to.c_str()) != 0 && (errno != ENOENT || suffix.empty())) {
      return base::FromErrno(errno, "rename " + from + " to " + to);
    }
  }
  return aside;
}

}  // namespace weighmaster::agent::journal
