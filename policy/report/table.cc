#include "policy/report/table.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <span>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/check.h"

namespace weighmaster::report {
namespace {

// Code points, which is how wide text in most scripts is on a terminal.
std::size_t Width(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(
      utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string Scaled(std::uint64_t value, std::span<const std::string_view> units) {
  auto scaled = static_cast<double>(value);
  std::size_t unit = 0;
  while (scaled >= 999.5 && unit + 1 < units.size()) {
    scaled /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit > 0 && scaled < 9.95 ? "%.1f" : "%.0f", scaled);
  const std::string number = text;
  return units[unit].empty() ? number : number + " " + std::string(units[unit]);
}

void AppendLine(std::string& out, const std::vector<Table::Column>& columns,
                const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths[i] - Width(cells[i]), ' ');
    if (i > 0) line += "  ";
    line += columns[i].align == Table::Align::kRight ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line + "\n";
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::AddRow(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = base::EscapeForDisplay(cell);
  AddEscapedRow(std::move(cells));
}

void Table::AddEscapedRow(std::vector<std::string> cells) {
  WM_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  std::vector<std::string> headings;
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) {
    headings.push_back(column.heading);
    widths.push_back(Width(column.heading));
  }
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  AppendLine(out, columns_, headings, widths);
  for (const auto& row : rows_) AppendLine(out, columns_, row, widths);
  return out;
}

std::string FormatBytes(std::uint64_t bytes) {
  static constexpr std::string_view kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  return Scaled(bytes, kUnits);
}

std::string FormatParameters(std::uint64_t parameters) {
  static constexpr std::string_view kUnits[] = {"", "K", "M", "B", "T"};
  return Scaled(parameters, kUnits);
}

}  // namespace weighmaster::report
