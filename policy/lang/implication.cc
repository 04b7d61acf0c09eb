#include "policy/lang/implication.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "policy/engine/fields.h"
#include "policy/engine/text.h"

namespace weighmaster::lang {
namespace {

using model::Condition;
using model::FieldTest;
using model::Operator;

bool AsksForKnown(const FieldTest& test) { return test.op == Operator::kKnown && test.number == 1; }
bool AsksForUnknown(const FieldTest& test) {
  return test.op == Operator::kKnown && test.number == 0;
}

// Pairs of tests or conditions that are compared at most; a document may hold tens of thousands.
constexpr std::size_t kMaxPairs = 64UL * 1024;

// A set can equal several texts at once.
bool HasOneText(engine::FieldType type) {
  return type == engine::FieldType::kText || type == engine::FieldType::kDigest;
}
bool IsFlag(engine::FieldType type) { return type == engine::FieldType::kFlag; }

std::set<std::string> Folded(const std::vector<std::string>& texts) {
  std::set<std::string> folded;
  for (const std::string& text : texts) folded.insert(engine::FoldCase(text));
  return folded;
}

// Two tests of one field that no value passes both of.
bool Contradict(const FieldTest& a, const FieldTest& b) {
  if (a.field != b.field) return false;
  if (AsksForUnknown(a)) return !AsksForUnknown(b);
  if (a.op == Operator::kAtLeast && b.op == Operator::kAtMost) return a.number > b.number;
  const engine::Field* const field = engine::FindField(a.field);
  if (a.op != Operator::kEquals || b.op != Operator::kEquals || field == nullptr) return false;
  if (IsFlag(field->type)) return a.number != b.number;
  if (!HasOneText(field->type)) return false;
  const std::set<std::string> wanted = Folded(b.texts);
  return std::ranges::none_of(
      a.texts, [&](const std::string& text) { return wanted.contains(engine::FoldCase(text)); });
}

// The tests that must all hold: those of an `all`, and of the `all`s within it.
// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
void CollectRequired(const Condition& condition, std::vector<const FieldTest*>& tests) {
  if (condition.kind == Condition::Kind::kTest) tests.push_back(&condition.test);
  if (condition.kind != Condition::Kind::kAll) return;
  for (const Condition& child : condition.conditions) CollectRequired(child, tests);
}

bool HasContradiction(const Condition& condition) {
  std::vector<const FieldTest*> tests;
  CollectRequired(condition, tests);
  if (tests.size() * tests.size() > kMaxPairs) return false;
  return std::ranges::any_of(tests, [&](const FieldTest* a) {
    return std::ranges::any_of(tests, [&](const FieldTest* b) { return Contradict(*a, *b); });
  });
}

bool ContainsOneOf(const std::string& text, const std::vector<std::string>& parts) {
  return std::ranges::any_of(
      parts, [&](const std::string& part) { return engine::ContainsIgnoringCase(text, part); });
}

bool TestImplies(const FieldTest& narrow, const FieldTest& wide) {
  if (narrow.field != wide.field) return false;
  if (narrow == wide) return true;
  if (AsksForKnown(wide)) return narrow.op != Operator::kKnown;
  if (wide.op == Operator::kAtLeast) {
    return narrow.op == Operator::kAtLeast && narrow.number >= wide.number;
  }
  if (wide.op == Operator::kAtMost) {
    return narrow.op == Operator::kAtMost && narrow.number <= wide.number;
  }
  if (wide.op == Operator::kContains) {
    const bool has_whole_texts = narrow.op == Operator::kEquals || narrow.op == Operator::kContains;
    return has_whole_texts && std::ranges::all_of(narrow.texts, [&](const std::string& text) {
             return ContainsOneOf(text, wide.texts);
           });
  }
  const engine::Field* const field = engine::FindField(wide.field);
  if (wide.op != Operator::kEquals || narrow.op != Operator::kEquals || field == nullptr)
    return false;
  if (IsFlag(field->type)) return false;  // equal tests were seen above
  const std::set<std::string> allowed = Folded(wide.texts);
  return std::ranges::all_of(narrow.texts, [&](const std::string& text) {
    return allowed.contains(engine::FoldCase(text));
  });
}

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
std::size_t SizeOf(const Condition& condition) {
  std::size_t size = 1;
  for (const Condition& child : condition.conditions) size += SizeOf(child);
  return size;
}

// NOLINTNEXTLINE(misc-no-recursion): each step goes down one of two trees of bounded depth.
bool ImpliesAt(const Condition& narrow, const Condition& wide) {
  using Kind = Condition::Kind;
  const auto narrow_child = [&](const Condition& child) { return ImpliesAt(child, wide); };
  const auto wide_child = [&](const Condition& child) { return ImpliesAt(narrow, child); };
  if (narrow.kind == Kind::kAny) return std::ranges::all_of(narrow.conditions, narrow_child);
  if (wide.kind == Kind::kAll) return std::ranges::all_of(wide.conditions, wide_child);
  if (wide.kind == Kind::kAny && std::ranges::any_of(wide.conditions, wide_child)) return true;
  if (narrow.kind == Kind::kAll) return std::ranges::any_of(narrow.conditions, narrow_child);
  if (narrow.kind == Kind::kNot) return narrow == wide;
  return wide.kind == Kind::kTest && TestImplies(narrow.test, wide.test);
}

}  // namespace

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
bool IsNeverTrue(const Condition& condition) {
  switch (condition.kind) {
    case Condition::Kind::kAll:
      return std::ranges::any_of(condition.conditions, IsNeverTrue) || HasContradiction(condition);
    case Condition::Kind::kAny:
      return std::ranges::all_of(condition.conditions, IsNeverTrue);
    case Condition::Kind::kNot:
    case Condition::Kind::kTest:
      return false;
  }
  return false;
}

bool Implies(const Condition& narrow, const Condition& wide) {
  if (SizeOf(narrow) * SizeOf(wide) > kMaxPairs) return false;
  return ImpliesAt(narrow, wide);
}

}  // namespace weighmaster::lang
