#include "policy/lang/condition/condition_text.h"

#include <algorithm>
#include <cstdio>

#include "policy/engine/fields.h"
#include "policy/lang/condition/quantity.h"
#include "policy/model/severity.h"

namespace weighmaster::lang {
namespace {

using engine::FieldType;
using model::Condition;
using model::FieldTest;
using model::Operator;

bool IsPlain(std::string_view text) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (text.empty() || !is_word(text.front())) return false;
  const bool is_simple = std::ranges::all_of(
      text, [&](char c) { return is_word(c) || c == '-' || c == '.' || c == '/' || c == '+'; });
  return is_simple && text != "true" && text != "false" && text != "null";
}

std::string Numbered(const FieldTest& test, const engine::Field* field) {
  if (field == nullptr) return std::to_string(test.number);
  if (field->type == FieldType::kSeverity) {
    return std::string(model::SeverityName(static_cast<model::Severity>(test.number)));
  }
  return QuantityText(test.number, field->unit);
}

std::string TextsOf(const FieldTest& test) {
  if (test.texts.size() == 1) return YamlScalar(test.texts.front());
  std::string list;
  for (const std::string& text : test.texts) list += (list.empty() ? "" : ", ") + YamlScalar(text);
  return "[" + list + "]";
}

std::string OperandOf(const FieldTest& test) {
  const engine::Field* const field = engine::FindField(test.field);
  const FieldType type = field == nullptr ? FieldType::kText : field->type;
  if (test.op == Operator::kKnown || type == FieldType::kFlag) {
    return test.number == 1 ? "true" : "false";
  }
  if (test.op == Operator::kAtLeast || test.op == Operator::kAtMost) return Numbered(test, field);
  return TextsOf(test);
}

std::string TestText(const FieldTest& test) {
  const std::string operand = OperandOf(test);
  if (test.op == Operator::kEquals) return "{" + test.field + ": " + operand + "}";
  return "{" + test.field + ": {" + std::string(model::OperatorName(test.op)) + ": " + operand +
         "}}";
}

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
std::string Text(const Condition& condition) {
  if (condition.kind == Condition::Kind::kTest) return TestText(condition.test);
  std::string list;
  for (const Condition& child : condition.conditions) {
    list += (list.empty() ? "" : ", ") + Text(child);
  }
  if (condition.kind == Condition::Kind::kNot) return "{not: " + list + "}";
  return std::string(condition.kind == Condition::Kind::kAll ? "{all: [" : "{any: [") + list + "]}";
}

}  // namespace

std::string YamlScalar(std::string_view text) {
  if (IsPlain(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(byte));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string ConditionText(const Condition& condition) {
  const bool is_everything =
      condition.kind == Condition::Kind::kAll && condition.conditions.empty();
  return is_everything ? "everything" : Text(condition);
}

}  // namespace weighmaster::lang
