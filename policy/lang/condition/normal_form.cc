#include "policy/lang/condition/normal_form.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/engine/text.h"
#include "policy/lang/condition/condition_text.h"

namespace weighmaster::lang {
namespace {

using model::Condition;
using model::FieldTest;
using Kind = Condition::Kind;

// Every text of a test is compared with its case ignored: names, patterns and digests.
FieldTest NormalTest(FieldTest test) {
  for (std::string& text : test.texts) text = engine::FoldCase(text);
  std::ranges::sort(test.texts);
  test.texts.erase(std::unique(test.texts.begin(), test.texts.end()), test.texts.end());
  return test;
}

Condition NormalNot(Condition inner) {
  if (inner.kind == Kind::kNot) return std::move(inner.conditions.front());
  if (inner.kind == Kind::kTest && inner.test.op == model::Operator::kKnown) {
    inner.test.number = 1 - inner.test.number;
    return inner;
  }
  Condition negation;
  negation.kind = Kind::kNot;
  negation.conditions.push_back(std::move(inner));
  return negation;
}

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
Condition NormalList(const Condition& list) {
  std::map<std::string, Condition> by_text;
  for (const Condition& child : list.conditions) {
    Condition normal = NormalForm(child);
    if (normal.kind != list.kind) {
      by_text.emplace(ConditionText(normal), std::move(normal));
      continue;
    }
    for (Condition& grandchild : normal.conditions) {
      by_text.emplace(ConditionText(grandchild), std::move(grandchild));
    }
  }
  if (by_text.size() == 1) return std::move(by_text.begin()->second);
  Condition normal;
  normal.kind = list.kind;
  for (auto& [text, child] : by_text) normal.conditions.push_back(std::move(child));
  return normal;
}

}  // namespace

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
Condition NormalForm(const Condition& condition) {
  if (condition.kind == Kind::kNot) return NormalNot(NormalForm(condition.conditions.front()));
  if (condition.kind != Kind::kTest) return NormalList(condition);
  Condition normal;
  normal.kind = Kind::kTest;
  normal.test = NormalTest(condition.test);
  return normal;
}

}  // namespace weighmaster::lang
