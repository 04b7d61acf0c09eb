#include "policy/lang/yaml/diagnostics.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"

namespace weighmaster::lang {
namespace {

constexpr std::size_t kMaxQuotedBytes = 80;
// Words longer than this are no misspelling of any key.
constexpr std::size_t kMaxSpelledBytes = 64;

// The optimal string alignment distance: insertions, deletions, substitutions and swaps of
// neighbours, each counted once.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> rows(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) rows[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.size()][b.size()];
}

}  // namespace

std::string_view DiagnosticSeverityName(DiagnosticSeverity severity) {
  return severity == DiagnosticSeverity::kError ? "error" : "warning";
}

std::string Diagnostic::ToText() const {
  std::string text = base::EscapeForDisplay(file);
  if (at.line > 0) text += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  text += ": ";
  text += DiagnosticSeverityName(severity);
  text += ": " + message;
  if (!hint.empty()) text += "\n  hint: " + hint;
  return text;
}

void Diagnostics::Add(Diagnostic diagnostic) {
  std::size_t& count = diagnostic.severity == DiagnosticSeverity::kError ? errors_ : warnings_;
  if (++count <= base::limits::kMaxDiagnostics) kept_.push_back(std::move(diagnostic));
}

void Diagnostics::Sort(std::string_view document_file) {
  const auto key = [&](const Diagnostic& d) {
    return std::tuple(d.file != document_file, std::string_view(d.file), d.at.line, d.at.column);
  };
  std::ranges::stable_sort(kept_, {}, key);
}

std::string Diagnostics::ToText() const {
  std::string text;
  for (const Diagnostic& diagnostic : kept_) text += diagnostic.ToText() + "\n";
  const std::size_t left_out = errors_ + warnings_ - kept_.size();
  if (left_out > 0) text += "and " + std::to_string(left_out) + " more\n";
  return text;
}

void Reporter::Error(Location at, std::string message, std::string hint) const {
  out_.Add({DiagnosticSeverity::kError, file_, at, std::move(message), std::move(hint)});
}

void Reporter::Warning(Location at, std::string message, std::string hint) const {
  out_.Add({DiagnosticSeverity::kWarning, file_, at, std::move(message), std::move(hint)});
}

std::string Quote(std::string_view text) {
  const bool cut = text.size() > kMaxQuotedBytes;
  if (cut) {
    text = text.substr(0, kMaxQuotedBytes);
    // Not inside a UTF-8 sequence.
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) {
      text.remove_suffix(1);
    }
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) text.remove_suffix(1);
  }
  return "\"" + base::EscapeForDisplay(text) + (cut ? "…\"" : "\"");
}

std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view nearest;
  std::size_t least = kMaxSpelledBytes;
  if (word.size() > kMaxSpelledBytes) return nearest;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < least && distance * 3 <= std::max(word.size(), candidate.size())) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string SpellingHint(std::string_view word, const std::vector<std::string_view>& candidates,
                         std::string_view kind) {
  const std::string_view nearest = Nearest(word, candidates);
  if (!nearest.empty()) return "did you mean \"" + std::string(nearest) + "\"?";
  std::string hint = "known " + std::string(kind) + ": ";
  for (const std::string_view candidate : candidates) {
    if (candidate != candidates.front()) hint += ", ";
    hint += candidate;
  }
  return hint;
}

}  // namespace weighmaster::lang
