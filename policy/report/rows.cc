#include "policy/report/rows.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/base/check.h"
#include "policy/report/csv.h"
#include "policy/report/json_line.h"

namespace weighmaster::report {
namespace {

using Json = nlohmann::ordered_json;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
// clang 14 finds none by itself.
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// As it is: neither escaped nor quoted.
std::string Plain(const Cell::Value& value) {
  return std::visit(Overloaded{[](std::monostate) { return std::string(); },
                               [](const std::string& text) { return text; },
                               [](std::uint64_t number) { return std::to_string(number); },
                               [](std::int64_t number) { return std::to_string(number); },
                               [](bool flag) { return std::string(flag ? "true" : "false"); },
                               [](const std::vector<std::string>& words) { return Joined(words); }},
                    value);
}

Json ToJson(const Cell::Value& value) {
  return std::visit(Overloaded{[](std::monostate) { return Json(nullptr); },
                               [](const std::string& text) { return Json(JsonText(text)); },
                               [](std::uint64_t number) { return Json(number); },
                               [](std::int64_t number) { return Json(number); },
                               [](bool flag) { return Json(flag); },
                               [](const std::vector<std::string>& words) {
                                 Json list = Json::array();
                                 for (const std::string& word : words)
                                   list.push_back(JsonText(word));
                                 return list;
                               }},
                    value);
}

std::vector<Table::Column> TableColumns(const std::vector<Heading>& headings) {
  std::vector<Table::Column> columns;
  for (const Heading& heading : headings) {
    if (!heading.title.empty()) columns.push_back({std::string(heading.title), heading.align});
  }
  return columns;
}

}  // namespace

Cell Cell::Text(std::string_view text) {
  return text.empty() ? Nothing() : Cell(std::string(text));
}

Cell Cell::EscapedText(std::string_view text) {
  Cell cell = Text(text);
  cell.is_escaped_ = base::IsFitForDisplay(text);
  return cell;
}

Cell Cell::ShownAs(std::string shown) && {
  shown_ = std::move(shown);
  return std::move(*this);
}

std::string Cell::ForTable() const {
  const std::string text = shown_.value_or(Plain(value_));
  return is_escaped_ ? text : base::EscapeForDisplay(text);
}

std::string Cell::ForCsv() const {
  const std::string text = Plain(value_);
  // What the program counted itself is no formula, also below zero.
  const bool is_ours = !std::holds_alternative<std::string>(value_) &&
                       !std::holds_alternative<std::vector<std::string>>(value_);
  if (is_ours) return text;
  return is_escaped_ ? CsvEscapedText(text) : CsvText(text);
}

Rows::Rows(Form form, std::vector<Heading> headings)
    : form_(form), headings_(std::move(headings)), table_(TableColumns(headings_)) {}

std::string Rows::Begin() const {
  if (form_ != Form::kCsv) return "";
  std::vector<std::string> keys;
  for (const Heading& heading : headings_) keys.emplace_back(heading.key);
  return CsvRecord(keys);
}

std::string Rows::Add(const std::vector<Cell>& cells) {
  WM_CHECK(cells.size() == headings_.size());
  std::vector<std::string> record;
  Json object;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    switch (form_) {
      case Form::kTable:
        if (!headings_[i].title.empty()) record.push_back(cells[i].ForTable());
        break;
      case Form::kCsv:
        record.push_back(cells[i].ForCsv());
        break;
      case Form::kJson:
        object[std::string(headings_[i].key)] = ToJson(cells[i].value());
        break;
    }
  }
  if (form_ == Form::kCsv) return CsvRecord(record);
  if (form_ == Form::kJson) return JsonLine(object) + "\n";
  if (!record.empty()) table_.AddEscapedRow(std::move(record));
  return "";
}

std::string Rows::End() const {
  return form_ == Form::kTable && !table_.empty() ? table_.ToString() : "";
}

}  // namespace weighmaster::report
