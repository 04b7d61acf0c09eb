#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weighmaster::report {

// A table for people: a heading line, then a row each, columns padded to the widest cell, no
// trailing blanks. Cells are escaped (base::EscapeForDisplay), so foreign text stays on its line
// and sends nothing to the terminal.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns);

  // As many cells as there are columns.
  void AddRow(std::vector<std::string> cells);
  // The same of cells that are fit for display (base::IsFitForDisplay) and stay as they are.
  void AddEscapedRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  std::string ToString() const;

 private:
  const std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "4.9 GB" (powers of 1000, as sizes of models are quoted), "812 B".
std::string FormatBytes(std::uint64_t bytes);
// "7.2 B", "124 M", "950": counts of parameters as models are named.
std::string FormatParameters(std::uint64_t parameters);

}  // namespace weighmaster::report
