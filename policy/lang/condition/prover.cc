#include "policy/lang/condition/prover.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "policy/engine/condition.h"
#include "policy/engine/text.h"

namespace weighmaster::lang {
namespace {

using engine::Field;
using engine::FieldType;
using model::Condition;
using model::FieldTest;
using model::Operator;
using Kind = Condition::Kind;

constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

bool AsksForUnknown(const FieldTest& test) {
  return test.op == Operator::kKnown && test.number == 0;
}

// Holds of whatever has a known SHA-256, for rules see what was read: engine/fields.cc.
const FieldTest& IsVerified() {
  static const FieldTest test{"digest_state", Operator::kEquals, {"verified"}, 0};
  return test;
}

Condition OfTest(const FieldTest& test) {
  Condition condition;
  condition.kind = Kind::kTest;
  condition.test = test;
  return condition;
}

std::uint64_t BytesOf(const FieldTest& test) {
  std::uint64_t bytes = 1;
  for (const std::string& text : test.texts) bytes += text.size() + 1;
  return bytes;
}

std::set<std::string> Folded(const std::vector<std::string>& texts) {
  std::set<std::string> folded;
  for (const std::string& text : texts) folded.insert(engine::FoldCase(text));
  return folded;
}

bool ContainsOneOf(const std::string& text, const std::vector<std::string>& parts) {
  return std::ranges::any_of(
      parts, [&](const std::string& part) { return engine::ContainsIgnoringCase(text, part); });
}

bool MatchesEverything(std::string_view pattern) {
  return pattern == "**" || pattern == "**/*" || pattern == "**/**";
}

// Whether `wide` matches whatever `narrow` does. One that ends in "/**" and is plain before that
// matches all that begins so, whatever else `narrow` asks for.
bool GlobCovers(std::string_view wide, std::string_view narrow) {
  if (MatchesEverything(wide) || engine::EqualIgnoringCase(wide, narrow)) return true;
  if (!wide.ends_with("/**")) return false;
  const std::string_view folder = wide.substr(0, wide.size() - 2);
  const bool is_plain = folder.find_first_of("*?\\") == std::string_view::npos;
  return is_plain && engine::EqualIgnoringCase(narrow.substr(0, folder.size()), folder);
}

bool OneOfThemCovers(const std::vector<std::string>& wide, const std::string& narrow) {
  return std::ranges::any_of(
      wide, [&](const std::string& pattern) { return GlobCovers(pattern, narrow); });
}

// What a condition asks of one field where it is true, all of it together.
struct Demands {
  std::vector<const FieldTest*> holds;
  std::vector<const FieldTest*> fails;
  bool known = false;
  bool unknown = false;

  void Add(const FieldTest& test, bool must_hold) {
    if (test.op == Operator::kKnown) {
      ((test.number == 1) == must_hold ? known : unknown) = true;
      return;
    }
    known = true;
    (must_hold ? holds : fails).push_back(&test);
  }
};
using DemandsByField = std::map<std::string_view, Demands>;

// Those of a condition that is to be true, or false: of all children of an `all` that is to be
// true, and of an `any` that is to be false.
// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
void Collect(const Condition& condition, bool must_hold, DemandsByField& demands) {
  if (condition.kind == Kind::kNot) {
    Collect(condition.conditions.front(), !must_hold, demands);
  } else if (condition.kind == Kind::kTest) {
    demands[condition.test.field].Add(condition.test, must_hold);
  } else if ((condition.kind == Kind::kAll) == must_hold) {
    for (const Condition& child : condition.conditions) Collect(child, must_hold, demands);
  }
}

// What follows for fields that hang on each other, engine/fields.cc.
void AddRelated(DemandsByField& demands) {
  if (demands["sha256"].known) demands["digest_state"].Add(IsVerified(), true);
  Demands& weights = demands["weights"];
  Demands& approved = demands["weights_approved"];
  weights.known = approved.known = weights.known || approved.known;
  weights.unknown = approved.unknown = weights.unknown || approved.unknown;
}

bool NoNumberFits(const std::vector<const FieldTest*>& holds,
                  const std::vector<const FieldTest*>& fails) {
  std::uint64_t least = 0;
  std::uint64_t most = kLargest;
  for (const FieldTest* const test : holds) {
    if (test->op == Operator::kAtLeast) least = std::max(least, test->number);
    if (test->op == Operator::kAtMost) most = std::min(most, test->number);
  }
  for (const FieldTest* const test : fails) {
    const bool from_below = test->op == Operator::kAtLeast;
    if (test->number == (from_below ? 0 : kLargest)) return true;
    if (from_below) most = std::min(most, test->number - 1);
    if (!from_below) least = std::max(least, test->number + 1);
  }
  return least > most;
}

}  // namespace

bool Prover::IsNeverTrue(const Condition& condition) { return NeverTrue(condition) && !is_spent(); }

bool Prover::IsNeverFalse(const Condition& condition) {
  return NeverFalse(condition) && !is_spent();
}

bool Prover::IsAlwaysTrue(const Condition& condition) {
  return AlwaysTrue(condition) && !is_spent();
}

bool Prover::Implies(const Condition& narrow, const Condition& wide) {
  return ConditionImplies(narrow, wide) && !is_spent();
}

// False when they are not left.
bool Prover::Spend(std::uint64_t steps) {
  steps_left_ -= std::min(steps, steps_left_);
  return !is_spent();
}

// Nothing for a field that may have more values than can be tried.
std::optional<std::vector<Prover::Value>> Prover::EveryValueOf(const Field& field) {
  if (field.type == FieldType::kFlag) return std::vector<Value>{0U, 1U};
  if (field.type == FieldType::kSeverity) return std::vector<Value>{0U, 1U, 2U, 3U, 4U, 5U};
  if (field.values.empty()) return std::nullopt;
  std::vector<Value> values;
  for (const std::string_view value : field.values) values.emplace_back(std::string(value));
  return values;
}

// Those that an `is` names; nothing for another test.
std::optional<std::vector<Prover::Value>> Prover::ValuesIn(const Field& field,
                                                           const FieldTest& test) {
  if (test.op != Operator::kEquals) return std::nullopt;
  std::vector<Value> values;
  for (const std::string& text : test.texts) {
    if (field.type != FieldType::kDigest) {
      values.emplace_back(text);
      continue;
    }
    const base::Result<model::Sha256> digest = model::ParseSha256(text);
    if (!digest.has_value()) return std::nullopt;
    values.emplace_back(std::string(base::AsText(digest->view())));
  }
  return values;
}

// Leaves the values that pass a test, or those that do not, by the engine's own matching.
void Prover::Keep(std::vector<Value>& values, const FieldTest& test, bool passing) {
  const std::uint64_t cost = BytesOf(test);
  if (!Spend(cost)) return;
  const auto compiled = engine::CompiledCondition::Compile(OfTest(test));
  if (!compiled.has_value()) return;
  const auto passes = [&](const Value& value) {
    if (const auto* const number = std::get_if<std::uint64_t>(&value)) {
      return compiled->Holds({.value = *number});
    }
    const std::string_view text = std::get<std::string>(value);
    const bool is_equality = test.op == Operator::kEquals;
    if (!Spend(is_equality ? test.texts.size() : cost * (text.size() + 1))) return false;
    return compiled->Holds({.value = text});
  };
  std::erase_if(values, [&](const Value& value) { return passes(value) != passing; });
}

// Whether no known value passes all tests of `holds` and none of `fails`.
bool Prover::NoValueFits(const Field& field, const Tests& holds, const Tests& fails) {
  if (field.type == FieldType::kSet) return false;  // it can have several at once
  if (field.type == FieldType::kNumber) return NoNumberFits(holds, fails);
  std::optional<std::vector<Value>> values = EveryValueOf(field);
  for (const FieldTest* const test : holds) {
    if (!values) values = ValuesIn(field, *test);
  }
  if (!values) return false;
  for (const FieldTest* const test : holds) Keep(*values, *test, true);
  for (const FieldTest* const test : fails) Keep(*values, *test, false);
  return values->empty();
}

// NOLINTNEXTLINE(misc-no-recursion): each step goes down a tree of bounded depth.
bool Prover::HasContradiction(const Condition& condition) {
  DemandsByField demands;
  Collect(condition, true, demands);
  AddRelated(demands);
  for (const auto& [name, of] : demands) {
    const Field* const field = engine::FindField(name);
    if (field == nullptr) continue;
    if (of.unknown && (of.known || !field->can_be_unknown)) return true;
    if (NoValueFits(*field, of.holds, of.fails)) return true;
  }
  // Something beside its own `not`.
  return std::ranges::any_of(condition.conditions, [&](const Condition& child) {
    return child.kind == Kind::kNot && ConditionImplies(condition, child.conditions.front());
  });
}

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
bool Prover::NeverTrue(const Condition& condition) {
  const auto never_true = [this](const Condition& child) { return NeverTrue(child); };
  switch (condition.kind) {
    case Kind::kAll:
      return std::ranges::any_of(condition.conditions, never_true) || HasContradiction(condition);
    case Kind::kAny:
      return std::ranges::all_of(condition.conditions, never_true);
    case Kind::kNot:
      return NeverFalse(condition.conditions.front());
    case Kind::kTest:
      return HasContradiction(condition);
  }
  return false;
}

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
bool Prover::NeverFalse(const Condition& condition) {
  const auto never_false = [this](const Condition& child) { return NeverFalse(child); };
  switch (condition.kind) {
    case Kind::kAll:
      return std::ranges::all_of(condition.conditions, never_false);
    case Kind::kAny:
      return std::ranges::any_of(condition.conditions, never_false);
    case Kind::kNot:
      return NeverTrue(condition.conditions.front());
    case Kind::kTest:
      return TestIsNeverFalse(condition.test);
  }
  return false;
}

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
bool Prover::AlwaysTrue(const Condition& condition) {
  const auto always_true = [this](const Condition& child) { return AlwaysTrue(child); };
  switch (condition.kind) {
    case Kind::kAll:
      return std::ranges::all_of(condition.conditions, always_true);
    case Kind::kAny:
      return std::ranges::any_of(condition.conditions, always_true);
    case Kind::kNot:
      return false;
    case Kind::kTest:
      return TestIsAlwaysTrue(condition.test);
  }
  return false;
}

bool Prover::TestIsNeverFalse(const FieldTest& test) {
  const Field* const field = engine::FindField(test.field);
  if (field == nullptr) return false;
  if (test.op == Operator::kKnown) return test.number == 1 && !field->can_be_unknown;
  if (field->type == FieldType::kNumber) {
    return test.number == (test.op == Operator::kAtLeast ? 0 : kLargest);
  }
  if (std::optional<std::vector<Value>> values = EveryValueOf(*field)) {
    const bool names_few = test.op == Operator::kEquals && field->type != FieldType::kFlag &&
                           test.texts.size() < values->size();
    if (names_few) return false;
    Keep(*values, test, false);
    return values->empty();
  }
  // A set may be empty, and then no test of it holds.
  return field->type == FieldType::kText && test.op == Operator::kGlob &&
         std::ranges::any_of(test.texts, MatchesEverything);
}

bool Prover::TestIsAlwaysTrue(const FieldTest& test) {
  const Field* const field = engine::FindField(test.field);
  return field != nullptr && !field->can_be_unknown && TestIsNeverFalse(test);
}

bool Prover::TestImplies(const FieldTest& narrow, const FieldTest& wide) {
  if (narrow.field == "sha256" && wide.field == "digest_state" && !AsksForUnknown(narrow)) {
    return TestImplies(IsVerified(), wide);
  }
  if (narrow.field != wide.field) return false;
  if (narrow == wide) return true;
  if (AsksForUnknown(narrow) || AsksForUnknown(wide)) return false;
  // The field is known from here on.
  if (wide.op == Operator::kKnown || TestIsNeverFalse(wide)) return true;
  const Field* const field = engine::FindField(wide.field);
  if (field == nullptr || narrow.op == Operator::kKnown) return false;
  if (field->type != FieldType::kNumber) return ValuesImply(*field, narrow, wide);
  if (narrow.op != wide.op) return false;
  return wide.op == Operator::kAtLeast ? narrow.number >= wide.number
                                       : narrow.number <= wide.number;
}

// Whether every text, severity or flag that passes `narrow` passes `wide`.
bool Prover::ValuesImply(const Field& field, const FieldTest& narrow, const FieldTest& wide) {
  const bool are_names = field.type != FieldType::kFlag && narrow.op == Operator::kEquals &&
                         wide.op == Operator::kEquals;
  if (are_names) {
    if (!Spend(BytesOf(narrow) + BytesOf(wide))) return false;
    return std::ranges::includes(Folded(wide.texts), Folded(narrow.texts));
  }
  std::optional<std::vector<Value>> values = EveryValueOf(field);
  if (!values) values = ValuesIn(field, narrow);
  if (values) {
    Keep(*values, narrow, true);
    Keep(*values, wide, false);
    return values->empty();
  }
  if (narrow.op != wide.op || !Spend(BytesOf(narrow) * BytesOf(wide))) return false;
  return std::ranges::all_of(narrow.texts, [&](const std::string& text) {
    return wide.op == Operator::kContains ? ContainsOneOf(text, wide.texts)
                                          : OneOfThemCovers(wide.texts, text);
  });
}

// NOLINTNEXTLINE(misc-no-recursion): each step goes down one of two trees of bounded depth.
bool Prover::ConditionImplies(const Condition& narrow, const Condition& wide) {
  if (!Spend(1)) return false;
  const auto narrow_child = [&](const Condition& child) { return ConditionImplies(child, wide); };
  const auto wide_child = [&](const Condition& child) { return ConditionImplies(narrow, child); };
  if (narrow.kind == Kind::kAny) return std::ranges::all_of(narrow.conditions, narrow_child);
  if (wide.kind == Kind::kAll) return std::ranges::all_of(wide.conditions, wide_child);
  if (wide.kind == Kind::kAny && std::ranges::any_of(wide.conditions, wide_child)) return true;
  if (wide.kind == Kind::kTest && TestIsAlwaysTrue(wide.test)) return true;
  if (narrow.kind == Kind::kAll) return std::ranges::any_of(narrow.conditions, narrow_child);
  if (narrow.kind == Kind::kNot) return narrow == wide;
  return wide.kind == Kind::kTest && TestImplies(narrow.test, wide.test);
}

}  // namespace weighmaster::lang
