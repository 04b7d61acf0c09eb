#include "policy/report/csv.h"

#include <algorithm>

#include "policy/base/bytes.h"

namespace weighmaster::report {
namespace {

constexpr std::string_view kFormulaStarts[] = {"=",  "+",      "-",      "@",      "\t",
                                               "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"};
// What spreadsheets skip before they look whether a cell is a formula.
constexpr std::string_view kBlanks[] = {" ", "\n", "\v", "\f", "\u00a0", "\u3000", "\ufeff"};

std::string_view WithoutLeadingBlanks(std::string_view text) {
  while (true) {
    const auto* const blank = std::ranges::find_if(
        kBlanks, [&](std::string_view candidate) { return text.starts_with(candidate); });
    if (blank == std::end(kBlanks)) return text;
    text.remove_prefix(blank->size());
  }
}

bool IsFormula(std::string_view text) {
  const std::string_view start = WithoutLeadingBlanks(text);
  return std::ranges::any_of(
      kFormulaStarts, [&](std::string_view candidate) { return start.starts_with(candidate); });
}

// `escaped` is what is shown of `text`.
std::string Defused(std::string_view text, std::string_view escaped) {
  std::string cell;
  if (text.starts_with('\'') || IsFormula(text)) cell += '\'';
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    const std::string_view rest = escaped.substr(i + 1);
    const bool parts = escaped[i] == ';' && (rest.starts_with('"') || IsFormula(rest));
    cell += parts ? "\\x3b" : std::string(1, escaped[i]);
  }
  return cell;
}

std::string Quoted(const std::string& cell) {
  const bool is_plain = cell.find_first_of(",\"\r\n") == std::string::npos &&
                        !cell.starts_with(' ') && !cell.ends_with(' ');
  if (is_plain) return cell;
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string CsvText(std::string_view text) { return Defused(text, base::EscapeForDisplay(text)); }

std::string CsvEscapedText(std::string_view text) { return Defused(text, text); }

std::string CsvRecord(const std::vector<std::string>& cells) {
  std::string record;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) record += ',';
    record += Quoted(cells[i]);
  }
  return record + "\r\n";
}

}  // namespace weighmaster::report
