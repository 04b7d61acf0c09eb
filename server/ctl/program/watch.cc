#include "server/ctl/program/watch.h"

#include <sstream>
#include <unordered_map>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"
#include "server/ctl/command.h"

namespace weighmaster::server::ctl {
namespace {

namespace limits = base::limits;

constexpr std::string_view kHomeAndClear = "\x1b[H\x1b[2J";

bool Passes(base::ErrorCode code) {
  return code == base::ErrorCode::kUnavailable || code == base::ErrorCode::kResourceExhausted ||
         code == base::ErrorCode::kDeadlineExceeded;
}

// A line as it is compared: a wider cell in another row moves all columns and is no news.
std::string WithSingleBlanks(const std::string& line) {
  std::string squeezed;
  for (const char c : line) {
    if (c != ' ' || !squeezed.ends_with(' ')) squeezed += c;
  }
  return squeezed;
}

// The lines of `now` that `before` does not have, or not so often.
std::string NewLines(const std::string& before, const std::string& now) {
  std::unordered_map<std::string, std::size_t> known;
  std::istringstream old_lines(before);
  for (std::string line; std::getline(old_lines, line);) ++known[WithSingleBlanks(line)];
  std::string fresh;
  std::istringstream lines(now);
  for (std::string line; std::getline(lines, line);) {
    const auto found = known.find(WithSingleBlanks(line));
    if (found != known.end() && found->second > 0) {
      --found->second;
    } else if (!line.empty()) {
      fresh += line + "\n";
    }
  }
  return fresh;
}

// One watch: what was seen last, and whether the server was there.
class Watcher {
 public:
  Watcher(const WatchView& view, const base::Clock& clock) : view_(view), clock_(clock) {}

  base::Status Take(base::Result<std::string> seen) {
    if (!seen.has_value()) return Miss(seen.error());
    if (seen->size() > limits::kMaxWatchedBytes) {
      return base::FailedPrecondition(
          "this is too long to be watched; ask for less with --filter or --limit");
    }
    if (is_away_) view_.err << "weighctl: " << Now() << ": the server answers again\n";
    is_away_ = false;
    if (is_first_ || *seen != shown_) Show(*seen);
    shown_ = std::move(*seen);
    is_first_ = false;
    return {};
  }

 private:
  base::Status Miss(const base::Error& error) {
    if (!Passes(error.code())) return error;
    if (!is_away_) {
      view_.err << "weighctl: " << Now() << ": " << base::EscapeForDisplay(error.message())
                << "; looking again until it answers\n";
    }
    is_away_ = true;
    return {};
  }

  void Show(const std::string& seen) {
    const std::string text = view_.is_terminal ? seen : NewLines(shown_, seen);
    if (text.empty()) return;
    if (view_.is_terminal) view_.out << kHomeAndClear;
    view_.times << Now() << "\n" << std::flush;
    view_.out << text << std::flush;
  }

  std::string Now() const { return TimeCell(base::ToMicroseconds(clock_.Now())); }

  const WatchView& view_;
  const base::Clock& clock_;
  std::string shown_;
  bool is_first_ = true;
  bool is_away_ = false;
};

}  // namespace

base::Status Watch(const WatchView& view, Pause& pause, const base::Clock& clock,
                   const std::function<base::Result<std::string>()>& look) {
  Watcher watcher(view, clock);
  pause.Begin();
  do {
    WM_RETURN_IF_ERROR(watcher.Take(look()));
  } while (view.out.good() && pause.Wait(view.every));
  return {};
}

}  // namespace weighmaster::server::ctl
