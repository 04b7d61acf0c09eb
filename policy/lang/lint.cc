#include "policy/lang/lint.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "policy/engine/fields.h"
#include "policy/lang/condition/prover.h"

namespace weighmaster::lang {
namespace {

using model::Condition;
using model::ListKind;

bool OfWeights(ListKind kind) { return kind > ListKind::kApproved; }

std::string Place(const Document& document, const ListedDigest& digest) {
  return document.files[digest.file] + ":" + std::to_string(digest.at.line);
}

// Compares a digest with the one before it in a run of equals.
void LintRepeat(const Document& document, const ListedDigest& first, const ListedDigest& second,
                Diagnostics& diagnostics) {
  const Reporter report(document.files[second.file], diagnostics);
  const std::string digest = Quote(second.digest.ToHex());
  const std::string list = std::string(model::ListKindName(second.kind));
  const std::string other_list = std::string(model::ListKindName(first.kind));
  const std::string hint = "it stands also at " + Place(document, first);
  if (first.kind == second.kind) {
    report.Warning(second.at, digest + " stands twice on the " + list + " list", hint);
  } else if (first.kind != ListKind::kBlocked) {
    report.Error(second.at, digest + " is both denied and approved",
                 hint + "; remove one of the two");
  } else {
    report.Warning(second.at,
                   digest + " is on the " + list + " list and on the " + other_list +
                       " list, which decides first",
                   hint);
  }
}

void LintDigests(const Document& document, Diagnostics& diagnostics) {
  std::vector<const ListedDigest*> sorted;
  sorted.reserve(document.digests.size());
  for (const ListedDigest& digest : document.digests) sorted.push_back(&digest);
  // Equal digests of one meaning in the order of judgement, and of the document within one list.
  std::ranges::sort(sorted, [](const ListedDigest* a, const ListedDigest* b) {
    if (OfWeights(a->kind) != OfWeights(b->kind)) return OfWeights(b->kind);
    if (a->digest != b->digest) return a->digest < b->digest;
    if (a->kind != b->kind) return a->kind < b->kind;
    return a < b;
  });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const ListedDigest& first = *sorted[i - 1];
    const ListedDigest& second = *sorted[i];
    if (OfWeights(first.kind) != OfWeights(second.kind) || first.digest != second.digest) continue;
    LintRepeat(document, first, second, diagnostics);
  }
}

// Whether the rule applies to everything.
bool IsUnconditional(const model::Rule& rule, Prover& prover) {
  return prover.IsAlwaysTrue(rule.when) ||
         (rule.fire_when_unknown && prover.IsNeverFalse(rule.when));
}

// Whether the rule is asked as long as the policy holds, and decides what it applies to.
bool DecidesForGood(const model::Rule& rule) { return !rule.audit && !rule.expires.has_value(); }

// Whether a rule never comes to its turn because of an earlier one. One that fires also where its
// condition is unknown is hidden by the same condition alone.
bool Hides(const model::Rule& earlier, const model::Rule& later, Prover& prover) {
  const bool expires_first =
      earlier.expires && (!later.expires || *earlier.expires < *later.expires);
  if (earlier.audit || expires_first) return false;
  if (IsUnconditional(earlier, prover)) return true;
  if (later.fire_when_unknown) return earlier.fire_when_unknown && earlier.when == later.when;
  return prover.Implies(later.when, earlier.when);
}

// One without an id, or with a bad one, has its error already.
std::string NameOf(const DocumentRule& rule) {
  return rule.rule.id.empty() ? "the rule" : "rule " + Quote(rule.rule.id);
}

// Rules that are hidden by an earlier one of their step, or by an `always` rule, which is judged
// before the others; and rules that fire for nothing.
void LintReach(const Document& document, Prover& prover, Diagnostics& diagnostics) {
  const Reporter report(document.files.front(), diagnostics);
  std::vector<const DocumentRule*> order;
  for (const bool always : {true, false}) {
    for (const DocumentRule& rule : document.rules) {
      if (rule.rule.always == always) order.push_back(&rule);
    }
  }
  for (auto later = order.begin(); later != order.end(); ++later) {
    const DocumentRule& rule = **later;
    if (!rule.rule.fire_when_unknown && prover.IsNeverTrue(rule.rule.when)) {
      report.Warning(rule.at, NameOf(rule) + " never applies",
                     "nothing passes all the tests that it requires together");
      continue;
    }
    const auto by = std::find_if(order.begin(), later, [&](const DocumentRule* earlier) {
      return Hides(earlier->rule, rule.rule, prover);
    });
    if (by == later) continue;
    report.Warning(rule.at, NameOf(rule) + " is never reached",
                   NameOf(**by) + " at line " + std::to_string((*by)->at.line) +
                       " is judged before it and applies to everything that it applies to");
  }
}

void LintApproved(const Document& document, Prover& prover, Diagnostics& diagnostics) {
  const auto final_always = std::ranges::find_if(document.rules, [&](const DocumentRule& rule) {
    return rule.rule.always && DecidesForGood(rule.rule) && IsUnconditional(rule.rule, prover);
  });
  const bool approves = std::ranges::any_of(document.digests, [](const ListedDigest& digest) {
    return digest.kind == ListKind::kApproved;
  });
  if (final_always == document.rules.end() || !approves) return;
  Reporter(document.files.front(), diagnostics)
      .Warning(final_always->at, "the approved list is never reached",
               "this rule is marked `always` and applies to everything");
}

using FieldNames = std::vector<std::string_view>;

bool AsksForKnown(const Condition& condition, bool known) {
  return condition.kind == Condition::Kind::kTest && condition.test.op == model::Operator::kKnown &&
         (condition.test.number == 1) == known;
}

// Finds `not`s whose outcome hangs on a field that can be unknown. A field that an enclosing `all`
// requires to be known is no trouble: where it is unknown, the `all` is false. Nor is one that an
// enclosing `any` asks to be unknown: where it is, the `any` is true.
class NotLint {
 public:
  NotLint(const DocumentRule& rule, const Reporter& report) : rule_(rule), report_(report) {}

  void Visit(const Condition& condition, FieldNames known) {
    AddDecided(condition, known);
    if (condition.kind == Condition::Kind::kNot) {
      const Location at = rule_.nots[next_not_++];
      FieldNames doubtful;
      CollectDoubtful(condition, known, doubtful);
      if (!doubtful.empty()) Report(at, doubtful);
    }
    for (const Condition& child : condition.conditions) Visit(child, known);
  }

 private:
  // The fields that the condition decides by alone where they are unknown.
  static void AddDecided(const Condition& condition, FieldNames& known) {
    const bool is_all = condition.kind == Condition::Kind::kAll;
    if (!is_all && condition.kind != Condition::Kind::kAny) return;
    for (const Condition& child : condition.conditions) {
      if (AsksForKnown(child, is_all)) known.push_back(child.test.field);
    }
  }

  static void CollectDoubtful(const Condition& condition, FieldNames known, FieldNames& doubtful) {
    AddDecided(condition, known);
    for (const Condition& child : condition.conditions) CollectDoubtful(child, known, doubtful);
    if (condition.kind != Condition::Kind::kTest) return;
    if (condition.test.op == model::Operator::kKnown) return;
    const engine::Field* const field = engine::FindField(condition.test.field);
    if (field == nullptr || !field->can_be_unknown) return;
    if (std::ranges::find(known, field->name) != known.end()) return;
    if (std::ranges::find(doubtful, field->name) == doubtful.end()) {
      doubtful.push_back(field->name);
    }
  }

  void Report(Location at, const FieldNames& doubtful) const {
    std::string names;
    for (const std::string_view name : doubtful) {
      names += (names.empty() ? "\"" : ", \"") + std::string(name) + "\"";
    }
    report_.Warning(
        at,
        "where " + names + " is not known, this `not` is unknown too, and " + NameOf(rule_) +
            " may not fire",
        "add `when_unknown: fire` if it shall, or `when_unknown: skip` if it shall not");
  }

  const DocumentRule& rule_;
  const Reporter& report_;
  std::size_t next_not_ = 0;
};

// NOLINTNEXTLINE(misc-no-recursion): trees are at most limits::kMaxConditionDepth deep.
bool AsksFor(const Condition& condition, std::string_view field) {
  if (condition.kind == Condition::Kind::kTest) return condition.test.field == field;
  return std::ranges::any_of(condition.conditions,
                             [field](const Condition& inner) { return AsksFor(inner, field); });
}

// The endpoint judges by what it withholds; the server alone is left in the dark.
void LintWithheld(const Document& document, Diagnostics& diagnostics) {
  const Reporter report(document.files.front(), diagnostics);
  for (const model::Withheld withheld : document.settings.withheld) {
    const std::string_view field = model::WithheldName(withheld);
    for (const DocumentRule& rule : document.rules) {
      if (!AsksFor(rule.rule.when, field)) continue;
      report.Warning(rule.at,
                     NameOf(rule) + " asks for " + Quote(field) +
                         ", which \"collect\" leaves out of what is sent",
                     "endpoints judge by it all the same, but the server can't say beforehand what "
                     "the rule will do");
    }
  }
}

}  // namespace

void Lint(const Document& document, Diagnostics& diagnostics) {
  LintDigests(document, diagnostics);
  Prover prover;
  LintReach(document, prover, diagnostics);
  LintApproved(document, prover, diagnostics);
  LintWithheld(document, diagnostics);
  const Reporter report(document.files.front(), diagnostics);
  if (prover.is_spent()) {
    report.Warning({}, "the rules are too many and too long to compare each with each",
                   "lint can't say of all of them whether they ever apply");
  }
  for (const DocumentRule& rule : document.rules) {
    if (!rule.says_when_unknown) NotLint(rule, report).Visit(rule.rule.when, {});
  }
}

}  // namespace weighmaster::lang
