#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/report/table.h"

namespace weighmaster::report {

// A table for people; a CSV file (report/csv.h) or one JSON object a line for programs.
enum class Form { kTable, kCsv, kJson };

// A value of a list, which each form writes in its way. A value.
class Cell {
 public:
  static Cell Nothing() { return Cell(std::monostate()); }  // null in JSON, else empty
  // From anywhere. "" is nothing.
  static Cell Text(std::string_view text);
  // Escaped for display already, by whoever told it. What a terminal would obey is escaped all the
  // same.
  static Cell EscapedText(std::string_view text);
  static Cell Number(std::uint64_t number) { return Cell(number); }
  static Cell Difference(std::int64_t number) { return Cell(number); }
  static Cell Flag(bool flag) { return Cell(flag); }
  // A list in JSON, else one text with blanks between.
  static Cell Words(std::vector<std::string> words) { return Cell(std::move(words)); }

  // What tables have instead, because people read it more easily: "4.9 GB", "never".
  Cell ShownAs(std::string shown) &&;

  std::string ForTable() const;  // fit for display
  std::string ForCsv() const;
  using Value = std::variant<std::monostate, std::string, std::uint64_t, std::int64_t, bool,
                             std::vector<std::string>>;
  const Value& value() const { return value_; }

 private:
  explicit Cell(Value value) : value_(std::move(value)) {}

  Value value_;
  bool is_escaped_ = false;
  std::optional<std::string> shown_;
};

// What a column is called: to programs, and to people.
struct Heading {
  std::string_view key;    // "last_contact_time": the header of CSV, the key in JSON
  std::string_view title;  // "LAST CONTACT"; "": tables leave the column out
  Table::Align align = Table::Align::kLeft;
};

// Writes rows in the form that was asked for, each as soon as it is known; a table when all are,
// because only then its columns are as wide as they must be. The CSV of no rows is its header, the
// table nothing, as is a table without a column that has a title.
class Rows {
 public:
  Rows(Form form, std::vector<Heading> headings);

  // Each returns what is to be printed now. First Begin, then Add for each row with as many cells
  // as there are headings, then End.
  std::string Begin() const;
  std::string Add(const std::vector<Cell>& cells);
  std::string End() const;

 private:
  const Form form_;
  const std::vector<Heading> headings_;
  Table table_;
};

}  // namespace weighmaster::report
