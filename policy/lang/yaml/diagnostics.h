#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weighmaster::lang {

// A place in a text, both counted from 1; a column counts bytes. Line 0: the text as a whole.
struct Location {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

enum class DiagnosticSeverity : std::uint8_t { kError, kWarning };
std::string_view DiagnosticSeverityName(DiagnosticSeverity severity);  // "error", "warning"

// Something that the author of a document should know: what is wrong, where, and what to do.
struct Diagnostic {
  DiagnosticSeverity severity = DiagnosticSeverity::kError;
  std::string file;
  Location at;
  std::string message;
  std::string hint;  // may be empty

  // "policy.yaml:3:5: error: message\n  hint: hint", without a newline at the end.
  std::string ToText() const;
};

// All diagnostics of one reading. The first limits::kMaxDiagnostics of each severity are kept, the
// rest is counted, so that a million bad lines neither fill the memory nor hide behind warnings.
class Diagnostics {
 public:
  void Add(Diagnostic diagnostic);
  // By line and column; the document's before those of its list files.
  void Sort(std::string_view document_file);

  const std::vector<Diagnostic>& all() const { return kept_; }
  std::size_t errors() const { return errors_; }
  std::size_t warnings() const { return warnings_; }
  bool has_errors() const { return errors_ > 0; }

  // Every diagnostic on lines of its own, and how many more there are. Ends in a newline unless
  // empty.
  std::string ToText() const;

 private:
  std::vector<Diagnostic> kept_;
  std::size_t errors_ = 0;
  std::size_t warnings_ = 0;
};

// Adds diagnostics of one file. The diagnostics must outlive it.
class Reporter {
 public:
  Reporter(std::string file, Diagnostics& out) : file_(std::move(file)), out_(out) {}

  void Error(Location at, std::string message, std::string hint = {}) const;
  void Warning(Location at, std::string message, std::string hint = {}) const;

  const std::string& file() const { return file_; }
  Diagnostics& diagnostics() const { return out_; }

 private:
  const std::string file_;
  Diagnostics& out_;
};

// Text of the document as a message quotes it: escaped, and cut where it is long.
std::string Quote(std::string_view text);

// The candidate that a misspelt word most likely means, or "" when none is near (optimal string
// alignment distance, at most a third of the longer word).
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& candidates);
// "did you mean "x"?", or else "known KIND: a, b, c".
std::string SpellingHint(std::string_view word, const std::vector<std::string_view>& candidates,
                         std::string_view kind);

}  // namespace weighmaster::lang
