#include "third_party/spdlog/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "third_party/spdlog/repeat_filter.h"

namespace weighmaster::logging {
namespace {

// The time is spdlog's, in UTC, with the microseconds that everything else here has.
constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%fZ %l %v";
constexpr const char* kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})";

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::sinks::sink> MakeSink(const Options& options) {
  if (options.file.empty()) return std::make_shared<spdlog::sinks::stderr_sink_st>();
  spdlog::file_event_handlers events;
  events.after_open = [](const spdlog::filename_t&, std::FILE* file) {
    fchmod(fileno(file), S_IRUSR | S_IWUSR | S_IRGRP);
  };
  return std::make_shared<spdlog::sinks::rotating_file_sink_st>(
      options.file.string(), options.max_file_bytes, options.kept_files, false, events);
}

// `escaped` holds no control character and only UTF-8, so these two are all that JSON minds.
std::string JsonString(std::string_view escaped) {
  std::string out = "\"";
  for (const char c : escaped) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// One way to write lines: a sink of spdlog's with its pattern.
class Writer {
 public:
  explicit Writer(const Options& options) : form_(options.form), logger_("", MakeSink(options)) {
    const bool json = form_ == Form::kJson;
    logger_.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        json ? kJsonPattern : kTextPattern, spdlog::pattern_time_type::utc));
    logger_.set_level(ToSpdlog(options.level));
    logger_.flush_on(spdlog::level::trace);
  }

  bool Wants(Level level) const { return logger_.should_log(ToSpdlog(level)); }

  void Write(Level level, std::string_view component, std::string_view escaped) {
    std::string line;
    if (form_ == Form::kJson) {
      line = "\"component\":" + JsonString(component) + ",\"message\":" + JsonString(escaped);
    } else {
      line.append(component).append(": ").append(escaped);
    }
    logger_.log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
  }

 private:
  const Form form_;
  spdlog::logger logger_;
};

// The process has one standard error and one log file, so this is the one thing that is global.
// `mutex` guards all of it, also while a line is written, so that lines stay whole and in order.
struct ProcessLog {
  std::mutex mutex;
  std::unique_ptr<Writer> writer = std::make_unique<Writer>(Options{});
  RepeatFilter repeats;
};

ProcessLog& TheLog() {
  // Never destroyed, because other threads may log while the process exits.
  static ProcessLog& log = *new ProcessLog;
  return log;
}

std::string LeftOut(std::uint64_t count) {
  return " (and " + std::to_string(count) + " more times that were left out)";
}

}  // namespace

base::Status SetUp(const Options& options) {
  try {
    auto writer = std::make_unique<Writer>(options);
    ProcessLog& log = TheLog();
    const std::lock_guard lock(log.mutex);
    log.writer = std::move(writer);
    log.repeats = RepeatFilter();
    return {};
  } catch (const spdlog::spdlog_ex& error) {
    return base::Unavailable("cannot open the log file " + options.file.string() + ": " +
                             error.what());
  }
}

void Log(Level level, std::string_view component, std::string_view message) {
  ProcessLog& log = TheLog();
  const std::lock_guard lock(log.mutex);
  if (!log.writer->Wants(level)) return;

  std::string escaped = base::EscapeForDisplay(message);
  const std::string line = std::string(component).append(": ").append(escaped);
  const RepeatFilter::Decision decision = log.repeats.Admit(
      std::to_string(static_cast<int>(level)) + line, std::chrono::steady_clock::now());
  if (decision.forgotten) {
    const RepeatFilter::Forgotten& forgotten = *decision.forgotten;
    log.writer->Write(Level::kInfo, "log", forgotten.line.substr(1) + LeftOut(forgotten.count));
  }
  if (!decision.write) return;
  if (decision.left_out > 0) escaped += LeftOut(decision.left_out);
  log.writer->Write(level, component, escaped);
}

}  // namespace weighmaster::logging
