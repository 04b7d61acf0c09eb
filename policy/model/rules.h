#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "policy/model/settings.h"
#include "policy/model/verdict.h"

namespace weighmaster::model {

// The compiled rules of a policy: what lang produces from a document, wire carries, and engine
// judges by. Plain values.

enum class Operator : std::uint8_t {
  // text: equals any of `texts`, ASCII case ignored; digest: any of `texts`, 64 hexadecimal digits
  // each; flag: `number` 1 asks for true, 0 for false
  kEquals = 1,
  kGlob = 2,     // text: matches any of `texts`; `*` and `?` do not cross '/', `**` does
  kAtLeast = 3,  // number, or severity as the number of model::Severity, against `number`
  kAtMost = 4,
  kContains = 5,  // text: any of `texts` is inside, ASCII case ignored
  kKnown = 6,     // whether the field is known at all: `number` 1 asks for yes, 0 for no
};
// As documents spell it: "is", "glob", "at_least", "at_most", "contains", "known".
std::string_view OperatorName(Operator op);
base::Result<Operator> ParseOperator(std::string_view name);

// Fields of a subject that a condition may test. The names are stable and appear in documents; the
// table of fields with their types is policy/engine/fields.h.
struct FieldTest {
  std::string field;
  Operator op = Operator::kEquals;
  std::vector<std::string> texts;
  std::uint64_t number = 0;
  friend bool operator==(const FieldTest&, const FieldTest&) = default;
};

// A tree of at most limits::kMaxConditionDepth.
struct Condition {
  enum class Kind : std::uint8_t { kAll, kAny, kNot, kTest };
  Kind kind = Kind::kAll;
  std::vector<Condition> conditions;  // kAll, kAny: any number; kNot: exactly one
  FieldTest test;                     // kTest
  friend bool operator==(const Condition&, const Condition&) = default;
};

struct Rule {
  std::string id;
  bool always = false;  // judged before the approved list
  Condition when;
  Outcome outcome = Outcome::kWarn;
  std::string message;
  bool fire_when_unknown = false;
  std::optional<Severity> severity = {};       // else SeverityOf(outcome)
  std::string link = {};                       // an https URL; "" for none
  std::optional<base::WallTime> expires = {};  // not asked from then on
  std::optional<Mode> mode = {};               // else the policy's
  bool audit = false;                          // never decides; verdicts name it where it applies
  friend bool operator==(const Rule&, const Rule&) = default;
};

struct RuleSet {
  std::string policy_name;
  std::vector<Rule> rules;
  Outcome default_outcome = Outcome::kAllow;
  std::string default_message;
  std::optional<Severity> default_severity = {};  // else SeverityOf(default_outcome)
  std::string default_link = {};
  Mode mode = Mode::kObserve;
  Settings settings = {};
  friend bool operator==(const RuleSet&, const RuleSet&) = default;
};

}  // namespace weighmaster::model
