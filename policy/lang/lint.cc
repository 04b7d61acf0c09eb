#include "policy/lang/lint.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "policy/engine/fields.h"

namespace weighmaster::lang {
namespace {

using model::Condition;
using model::ListKind;

std::string Place(const Document& document, const ListedDigest& digest) {
  return document.files[digest.file] + ":" + std::to_string(digest.at.line);
}

// Compares a digest with the one before it in a run of equals.
void LintRepeat(const Document& document, const ListedDigest& first, const ListedDigest& second,
                Diagnostics& diagnostics) {
  const Reporter report(document.files[second.file], diagnostics);
  const std::string digest = Quote(second.sha256.ToHex());
  const std::string list = std::string(model::ListKindName(second.kind));
  const std::string other_list = std::string(model::ListKindName(first.kind));
  const std::string hint = "it stands also at " + Place(document, first);
  if (first.kind == second.kind) {
    report.Warning(second.at, digest + " stands twice on the " + list + " list", hint);
  } else if (first.kind == ListKind::kDenied && second.kind == ListKind::kApproved) {
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
  // Equal digests in the order of judgement, and of the document within one list.
  std::ranges::sort(sorted, [](const ListedDigest* a, const ListedDigest* b) {
    if (a->sha256 != b->sha256) return a->sha256 < b->sha256;
    if (a->kind != b->kind) return a->kind < b->kind;
    return a < b;
  });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i - 1]->sha256 != sorted[i]->sha256) continue;
    LintRepeat(document, *sorted[i - 1], *sorted[i], diagnostics);
  }
}

bool IsUnconditional(const Condition& condition) {
  return condition.kind == Condition::Kind::kAll &&
         std::ranges::all_of(condition.conditions, IsUnconditional);
}

// A rule that always fires hides the later ones of its step, and an `always` rule that does so
// hides the later steps too.
void LintReach(const Document& document, Diagnostics& diagnostics) {
  const Reporter report(document.files.front(), diagnostics);
  const DocumentRule* final_always = nullptr;
  const DocumentRule* final_other = nullptr;
  const auto hidden_by = [&](const DocumentRule& rule, const DocumentRule& by) {
    report.Warning(rule.at, "rule " + Quote(rule.rule.id) + " is never reached",
                   "rule " + Quote(by.rule.id) + " at line " + std::to_string(by.at.line) +
                       " is judged before it and applies to everything");
  };
  for (const DocumentRule& rule : document.rules) {
    if (!rule.rule.always) continue;
    if (final_always != nullptr) hidden_by(rule, *final_always);
    if (final_always == nullptr && IsUnconditional(rule.rule.when)) final_always = &rule;
  }
  for (const DocumentRule& rule : document.rules) {
    if (rule.rule.always) continue;
    const DocumentRule* const by = final_always != nullptr ? final_always : final_other;
    if (by != nullptr) hidden_by(rule, *by);
    if (final_other == nullptr && IsUnconditional(rule.rule.when)) final_other = &rule;
  }
  const bool approves = std::ranges::any_of(document.digests, [](const ListedDigest& digest) {
    return digest.kind == ListKind::kApproved;
  });
  if (final_always != nullptr && approves) {
    report.Warning(final_always->at, "the approved list is never reached",
                   "this rule is marked `always` and applies to everything");
  }
}

using FieldNames = std::vector<std::string_view>;

bool AsksForKnown(const Condition& condition) {
  return condition.kind == Condition::Kind::kTest && condition.test.op == model::Operator::kKnown &&
         condition.test.number == 1;
}

// Finds `not`s whose outcome hangs on a field that can be unknown. A field that an enclosing `all`
// requires to be known is no trouble: where it is unknown, the `all` is false.
class NotLint {
 public:
  NotLint(const DocumentRule& rule, const Reporter& report) : rule_(rule), report_(report) {}

  void Visit(const Condition& condition, FieldNames known) {
    AddRequired(condition, known);
    if (condition.kind == Condition::Kind::kNot) {
      const Location at = rule_.nots[next_not_++];
      FieldNames doubtful;
      CollectDoubtful(condition, known, doubtful);
      if (!doubtful.empty()) Report(at, doubtful);
    }
    for (const Condition& child : condition.conditions) Visit(child, known);
  }

 private:
  static void AddRequired(const Condition& condition, FieldNames& known) {
    if (condition.kind != Condition::Kind::kAll) return;
    for (const Condition& child : condition.conditions) {
      if (AsksForKnown(child)) known.push_back(child.test.field);
    }
  }

  static void CollectDoubtful(const Condition& condition, FieldNames known, FieldNames& doubtful) {
    AddRequired(condition, known);
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
        "where " + names + " is not known, this `not` is unknown too, and rule " +
            Quote(rule_.rule.id) + " may not fire",
        "add `when_unknown: fire` if it shall, or `when_unknown: skip` if it shall not");
  }

  const DocumentRule& rule_;
  const Reporter& report_;
  std::size_t next_not_ = 0;
};

}  // namespace

void Lint(const Document& document, Diagnostics& diagnostics) {
  LintDigests(document, diagnostics);
  LintReach(document, diagnostics);
  const Reporter report(document.files.front(), diagnostics);
  for (const DocumentRule& rule : document.rules) {
    if (!rule.says_when_unknown) NotLint(rule, report).Visit(rule.rule.when, {});
  }
}

}  // namespace weighmaster::lang
