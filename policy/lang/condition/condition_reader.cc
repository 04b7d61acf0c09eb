#include "policy/lang/condition/condition_reader.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "policy/base/limits.h"
#include "policy/engine/glob.h"
#include "policy/engine/text.h"
#include "policy/lang/condition/quantity.h"
#include "policy/lang/yaml/values.h"
#include "policy/model/artifact.h"

namespace weighmaster::lang {
namespace {

using engine::Field;
using engine::FieldType;
using model::Condition;
using model::FieldTest;
using model::Operator;

std::vector<std::string_view> OperatorNames(FieldType type) {
  std::vector<std::string_view> names;
  for (const Operator op : engine::OperatorsOf(type)) names.push_back(model::OperatorName(op));
  return names;
}

std::vector<std::string_view> ConditionKeys() {
  std::vector<std::string_view> keys;
  for (const Field& field : engine::Fields()) keys.push_back(field.name);
  keys.insert(keys.end(), {"all", "any", "not"});
  return keys;
}

std::string Named(const Field& field) { return "the field \"" + std::string(field.name) + "\""; }

Condition TestCondition(FieldTest test) {
  Condition condition;
  condition.kind = Condition::Kind::kTest;
  condition.test = std::move(test);
  return condition;
}

Condition AllOf(std::vector<Condition> conditions) {
  Condition condition;
  condition.kind = Condition::Kind::kAll;
  condition.conditions = std::move(conditions);
  return condition;
}

// Whether a full path, of POSIX or of Windows, can begin as `fits` wants it.
template <typename Fits>
bool IsStartOfPath(const Fits& fits) {
  if (fits("/")) return true;
  std::string drive = "a:/";
  for (; drive[0] <= 'z'; ++drive[0]) {
    if (fits(drive)) return true;
  }
  return false;
}

// Whether one of these texts passes a test against `operand`.
bool MatchesOneOf(std::span<const std::string_view> texts, Operator op,
                  const std::string& operand) {
  const engine::Glob glob(op == Operator::kGlob ? operand : "");
  return std::ranges::any_of(texts, [&](std::string_view text) {
    if (op == Operator::kGlob) return glob.Matches(text);
    return op == Operator::kContains ? engine::ContainsIgnoringCase(text, operand)
                                     : engine::EqualIgnoringCase(text, operand);
  });
}

// Why no path passes a test against `operand`; nothing where one may.
std::optional<std::string> WhyNoPath(Operator op, const std::string& operand) {
  if (op == Operator::kEquals) {
    const bool is_whole = IsStartOfPath([&](std::string_view start) {
      return engine::EqualIgnoringCase(operand.substr(0, start.size()), start);
    });
    if (is_whole) return std::nullopt;
    return "a path is whole and begins with \"/\"; its last part alone is the field \"file_name\"";
  }
  if (op != Operator::kGlob) return std::nullopt;
  const engine::Glob glob(operand);
  const bool is_whole =
      IsStartOfPath([&](std::string_view start) { return glob.MatchesSomeAfter(start); });
  if (is_whole) return std::nullopt;
  const std::string whole = "a path is whole and begins with \"/\"";
  const bool names_a_shells_folder =
      operand.starts_with('~') || operand.starts_with("./") || operand.starts_with("../");
  if (names_a_shells_folder) return whole + "; write the folder out, e.g. \"/home/*/models/**\"";
  return whole + ", which only ** crosses; write {glob: " + Quote("**/" + operand) + "}";
}

// Why no name of a file passes a test against `operand`; nothing where one may.
std::optional<std::string> WhyNoFileName(Operator op, const std::string& operand) {
  const bool has_folder = op == Operator::kGlob ? !engine::Glob(operand).MatchesSomeName()
                                                : operand.find('/') != std::string::npos;
  if (!has_folder) return std::nullopt;
  return "a file's name has no \"/\" in it; for folders, test the field \"path\"";
}

}  // namespace

std::optional<Condition> ConditionReader::Read(const YamlNode& node) { return ReadAt(node, 1); }

bool ConditionReader::FitsDepth(const YamlNode& node, std::size_t depth) {
  if (depth <= base::limits::kMaxConditionDepth) return true;
  report_.Error(
      node.at,
      "conditions are nested deeper than " + std::to_string(base::limits::kMaxConditionDepth),
      "split the rule in two; rules are tried from the top");
  return false;
}

// A map: every entry must hold. One entry is itself; several are an `all`.
std::optional<Condition> ConditionReader::ReadAt(const YamlNode& node, std::size_t depth) {
  if (!FitsDepth(node, depth)) return std::nullopt;
  if (!ExpectMap(node, "a condition", report_)) return std::nullopt;
  if (node.entries.empty()) {
    report_.Error(node.at, "a condition is empty",
                  "name a field; a rule without `when` applies to everything");
    return std::nullopt;
  }
  const bool single = node.entries.size() == 1;
  std::vector<Condition> conditions;
  bool good = true;
  for (const YamlEntry& entry : node.entries) {
    std::optional<Condition> condition = ReadEntry(entry, single ? depth : depth + 1);
    good = good && condition.has_value();
    if (condition) conditions.push_back(*std::move(condition));
  }
  if (!good) return std::nullopt;
  return single ? std::move(conditions.front()) : AllOf(std::move(conditions));
}

std::optional<Condition> ConditionReader::ReadEntry(const YamlEntry& entry, std::size_t depth) {
  if (!FitsDepth(entry.value, depth)) return std::nullopt;
  if (entry.key == "all") return ReadList(entry, Condition::Kind::kAll, depth);
  if (entry.key == "any") return ReadList(entry, Condition::Kind::kAny, depth);
  if (entry.key == "not") return ReadNot(entry, depth);
  return ReadField(entry, depth);
}

std::optional<Condition> ConditionReader::ReadList(const YamlEntry& entry, Condition::Kind kind,
                                                   std::size_t depth) {
  if (!ExpectSequence(entry.value, "\"" + entry.key + "\"", report_)) return std::nullopt;
  if (entry.value.items.empty()) {
    report_.Error(entry.value.at, "\"" + entry.key + "\" has no conditions");
    return std::nullopt;
  }
  Condition list;
  list.kind = kind;
  for (const YamlNode& item : entry.value.items) {
    std::optional<Condition> condition = ReadAt(item, depth + 1);
    if (condition) list.conditions.push_back(*std::move(condition));
  }
  if (list.conditions.size() != entry.value.items.size()) return std::nullopt;
  return list;
}

std::optional<Condition> ConditionReader::ReadNot(const YamlEntry& entry, std::size_t depth) {
  nots_.push_back(entry.key_at);
  std::optional<Condition> condition = ReadAt(entry.value, depth + 1);
  if (!condition) return std::nullopt;
  Condition negation;
  negation.kind = Condition::Kind::kNot;
  negation.conditions.push_back(*std::move(condition));
  return negation;
}

std::optional<Condition> ConditionReader::ReadField(const YamlEntry& entry, std::size_t depth) {
  const Field* const field = engine::FindField(entry.key);
  if (field == nullptr) {
    report_.Error(entry.key_at, "there is no field " + Quote(entry.key),
                  SpellingHint(entry.key, ConditionKeys(), "fields"));
    return std::nullopt;
  }
  if (entry.value.kind != YamlNode::Kind::kMap) {
    const YamlEntry shorthand{"is", entry.value.at, entry.value};
    std::optional<FieldTest> test = ReadTest(*field, shorthand);
    if (!test) return std::nullopt;
    return TestCondition(*std::move(test));
  }
  if (entry.value.entries.empty()) {
    report_.Error(entry.value.at, Named(*field) + " is compared with nothing",
                  SpellingHint("", OperatorNames(field->type), "operators"));
    return std::nullopt;
  }
  const bool single = entry.value.entries.size() == 1;
  if (!single && !FitsDepth(entry.value, depth + 1)) return std::nullopt;
  std::vector<Condition> tests;
  for (const YamlEntry& op : entry.value.entries) {
    std::optional<FieldTest> test = ReadTest(*field, op);
    if (test) tests.push_back(TestCondition(*std::move(test)));
  }
  if (tests.size() != entry.value.entries.size()) return std::nullopt;
  return single ? std::move(tests.front()) : AllOf(std::move(tests));
}

// `entry` is an operator and what the field is compared with.
std::optional<FieldTest> ConditionReader::ReadTest(const Field& field, const YamlEntry& entry) {
  if (entry.value.kind == YamlNode::Kind::kRefused) return std::nullopt;
  const base::Result<Operator> op = model::ParseOperator(entry.key);
  if (!op.has_value() || !engine::Fits(*op, field.type)) {
    const std::string message = op.has_value() ? "\"" + entry.key + "\" does not fit " +
                                                     Named(field) + ", which is a " +
                                                     std::string(engine::FieldTypeName(field.type))
                                               : "there is no operator " + Quote(entry.key);
    report_.Error(entry.key_at, message,
                  SpellingHint(entry.key, OperatorNames(field.type), "operators"));
    return std::nullopt;
  }
  FieldTest test;
  test.field = field.name;
  test.op = *op;
  bool good = false;
  if (*op == Operator::kKnown) {
    const std::optional<bool> known = ReadBool(entry.value, "\"known\"", report_);
    if (known && !field.can_be_unknown) {
      report_.Warning(
          entry.key_at, Named(field) + " is always known",
          "leave this test out: it is always " + std::string(*known ? "true" : "false"));
    }
    test.number = known.value_or(false) ? 1 : 0;
    good = known.has_value();
  } else if (*op == Operator::kAtLeast || *op == Operator::kAtMost) {
    good = field.type == FieldType::kSeverity ? ReadSeverityNumber(field, entry.value, test)
                                              : ReadNumber(field, entry.value, test);
  } else if (field.type == FieldType::kFlag) {
    const std::optional<bool> flag = ReadBool(entry.value, Named(field), report_);
    test.number = flag.value_or(false) ? 1 : 0;
    good = flag.has_value();
  } else {
    good = ReadOperands(field, entry.value, test);
  }
  if (!good) return std::nullopt;
  return test;
}

bool ConditionReader::ReadNumber(const Field& field, const YamlNode& node, FieldTest& test) {
  const std::optional<std::string> text = ReadText(node, Named(field), report_);
  if (!text) return false;
  const base::Result<std::uint64_t> number = ParseQuantity(*text, field.unit);
  if (!number.has_value()) {
    report_.Error(node.at, Quote(*text) + " is no number for " + Named(field),
                  number.error().message());
    return false;
  }
  test.number = *number;
  return true;
}

bool ConditionReader::ReadSeverityNumber(const Field& field, const YamlNode& node,
                                         FieldTest& test) {
  const std::optional<std::string> text = ReadText(node, Named(field), report_);
  if (!text || !CheckValue(field, node, *text)) return false;
  const base::Result<model::Severity> severity = model::ParseSeverity(engine::FoldCase(*text));
  if (!severity.has_value()) return false;
  test.number = static_cast<std::uint64_t>(*severity);
  return true;
}

bool ConditionReader::ReadOperands(const Field& field, const YamlNode& node, FieldTest& test) {
  if (node.kind != YamlNode::Kind::kSequence) return AddText(field, node, test);
  if (node.items.empty()) {
    report_.Error(node.at, Named(field) + " is compared with an empty list");
    return false;
  }
  bool good = true;
  for (const YamlNode& item : node.items) good = AddText(field, item, test) && good;
  return good;
}

bool ConditionReader::AddText(const Field& field, const YamlNode& node, FieldTest& test) {
  const std::string what = "what " + Named(field) + " is compared with";
  if (field.type == FieldType::kDigest) {
    const std::optional<model::Sha256> digest = ReadDigest(node, what, report_);
    if (digest) test.texts.push_back(digest->ToHex());
    return digest.has_value();
  }
  const std::optional<std::string> text = ReadText(node, what, report_);
  if (!text) return false;
  if (test.op == Operator::kEquals && !CheckValue(field, node, *text)) return false;
  if (test.op == Operator::kGlob && text->size() > base::limits::kMaxGlobBytes) {
    report_.Error(
        node.at, "a glob is longer than " + std::to_string(base::limits::kMaxGlobBytes) + " bytes");
    return false;
  }
  const bool looks_like_glob = text->find('*') != std::string::npos;
  if (looks_like_glob && test.op == Operator::kEquals) {
    report_.Warning(node.at, "\"is\" takes the * in " + Quote(*text) + " as it stands",
                    "to match a pattern write {glob: " + Quote(*text) + "}");
  } else {
    WarnOfNever(field, test.op, node, *text);
  }
  test.texts.push_back(*text);
  return true;
}

// Of a text that no value of the field passes the test against. A risk that is not known is no more
// than a warning: a newer agent may find it.
void ConditionReader::WarnOfNever(const Field& field, Operator op, const YamlNode& node,
                                  const std::string& text) {
  std::optional<std::string> why;
  if (field.name == "path") why = WhyNoPath(op, text);
  if (field.name == "file_name") why = WhyNoFileName(op, text);
  const bool is_risk = field.name == "risk";
  const std::span<const std::string_view> values = is_risk ? model::kRiskIds : field.values;
  if (!values.empty() && !MatchesOneOf(values, op, text)) {
    why = SpellingHint(engine::FoldCase(text), {values.begin(), values.end()}, "values");
  }
  if (!why) return;
  report_.Warning(node.at,
                  "no " + std::string(is_risk ? "known risk" : Quote(field.name)) + " passes {" +
                      std::string(model::OperatorName(op)) + ": " + Quote(text) + "}",
                  *std::move(why));
}

bool ConditionReader::CheckValue(const Field& field, const YamlNode& node,
                                 const std::string& text) {
  if (field.values.empty()) return true;
  const std::string folded = engine::FoldCase(text);
  if (std::ranges::find(field.values, folded) != field.values.end()) return true;
  const std::vector<std::string_view> values(field.values.begin(), field.values.end());
  report_.Error(node.at, Named(field) + " is never " + Quote(text),
                SpellingHint(folded, values, "values"));
  return false;
}

}  // namespace weighmaster::lang
