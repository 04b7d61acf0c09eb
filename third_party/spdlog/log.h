#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "policy/base/result.h"

namespace weighmaster::logging {

enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };

enum class Form : std::uint8_t {
  kText,  // 2026-03-01T12:00:00.000000Z warning sync: the server refused …
  kJson,  // one object a line: time, level, component, message
};

struct Options {
  Level level = Level::kInfo;
  Form form = Form::kText;
  // Empty: standard error. A file is made with mode 0640, because paths say something about people.
  std::filesystem::path file;
  // A file that would pass this becomes file.1; the oldest of `kept_files` goes.
  std::size_t max_file_bytes = std::size_t{16} * 1024 * 1024;
  std::size_t kept_files = 4;
};

// Where this process logs from now on. Called once by a program before it starts threads; without
// it, lines from kInfo up go to standard error. An error leaves the log as it was.
base::Status SetUp(const Options& options);

// One line. Any thread may call it; it waits for the disk and never fails: what can't be written is
// reported on standard error at most once a second.
//
// `message` is a sentence with foreign text in it as it came: it is escaped here, in this one place
// (base::EscapeForDisplay), so callers do not escape it themselves. It never holds a secret: no
// token, key, or content of a file. `component` is a literal such as "sync".
//
// The same line (level, component, message) is written at most limits::kMaxLogRepeats times in
// limits::kLogRepeatWindow; how many were left out is said when it is written again.
void Log(Level level, std::string_view component, std::string_view message);

inline void Debug(std::string_view component, std::string_view message) {
  Log(Level::kDebug, component, message);
}
inline void Info(std::string_view component, std::string_view message) {
  Log(Level::kInfo, component, message);
}
inline void Warning(std::string_view component, std::string_view message) {
  Log(Level::kWarning, component, message);
}
inline void Error(std::string_view component, std::string_view message) {
  Log(Level::kError, component, message);
}

}  // namespace weighmaster::logging
