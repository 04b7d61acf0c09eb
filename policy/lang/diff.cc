#include "policy/lang/diff.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/lang/condition/condition_text.h"
#include "policy/lang/condition/normal_form.h"
#include "policy/lang/condition/quantity.h"

namespace weighmaster::lang {
namespace {

using model::ListKind;
using model::Rule;

std::string Shown(std::string_view text) { return "\"" + base::EscapeForDisplay(text) + "\""; }
std::string ShownOrNone(std::string_view text) { return text.empty() ? "none" : Shown(text); }
std::string ModeText(model::Mode mode) { return std::string(model::ModeName(mode)); }
std::string ModeText(const std::optional<model::Mode>& mode) {
  return mode ? ModeText(*mode) : "the policy's";
}
std::string SeverityText(const std::optional<model::Severity>& severity, model::Outcome outcome) {
  return std::string(model::SeverityName(severity.value_or(model::SeverityOf(outcome))));
}
std::string TimeText(const std::optional<base::WallTime>& time) {
  return time ? base::FormatWallTime(*time) : "never";
}

std::string FlagText(bool flag) { return flag ? "true" : "false"; }

// Adds "WHAT: BEFORE -> AFTER" where they differ.
class Details {
 public:
  void Compare(std::string_view what, const std::string& before, const std::string& after) {
    if (before == after) return;
    lines_.push_back(std::string(what) + ": " + before + " -> " + after);
  }
  std::vector<std::string> Take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

// A rule may say the policy's mode itself. That is no other mode, unless the policy's is another
// one now: then it says that the rule does not follow.
bool SameMode(const Document& before, const Rule& old, const Document& after, const Rule& now) {
  if (old.mode == now.mode) return true;
  return before.mode == after.mode &&
         old.mode.value_or(before.mode) == now.mode.value_or(after.mode);
}

std::vector<std::string> DifferencesOf(const Document& before_all, const Rule& before,
                                       const Document& after_all, const Rule& after) {
  Details details;
  details.Compare("then", std::string(model::OutcomeName(before.outcome)),
                  std::string(model::OutcomeName(after.outcome)));
  if (NormalForm(before.when) != NormalForm(after.when)) {
    details.Compare("when", ConditionText(before.when), ConditionText(after.when));
  }
  const auto when_unknown = [](const Rule& rule) {
    return rule.fire_when_unknown ? "fire" : "skip";
  };
  details.Compare("when_unknown", when_unknown(before), when_unknown(after));
  details.Compare("always", FlagText(before.always), FlagText(after.always));
  details.Compare("audit", FlagText(before.audit), FlagText(after.audit));
  if (!SameMode(before_all, before, after_all, after)) {
    details.Compare("mode", ModeText(before.mode), ModeText(after.mode));
  }
  details.Compare("severity", SeverityText(before.severity, before.outcome),
                  SeverityText(after.severity, after.outcome));
  details.Compare("expires", TimeText(before.expires), TimeText(after.expires));
  details.Compare("message", ShownOrNone(before.message), ShownOrNone(after.message));
  details.Compare("link", ShownOrNone(before.link), ShownOrNone(after.link));
  return details.Take();
}

std::string Summary(const Rule& rule) {
  return std::string(rule.audit ? "audit: " : "") + std::string(model::OutcomeName(rule.outcome)) +
         " " + ConditionText(rule.when) + (rule.always ? ", always" : "");
}

// In the order in which they are asked.
std::vector<const Rule*> OrderOf(const Document& document) {
  std::vector<const Rule*> order;
  for (const bool always : {true, false}) {
    for (const DocumentRule& rule : document.rules) {
      if (rule.rule.always == always) order.push_back(&rule.rule);
    }
  }
  return order;
}

const Rule* FindRule(const Document& document, std::string_view id) {
  for (const DocumentRule& rule : document.rules) {
    if (rule.rule.id == id) return &rule.rule;
  }
  return nullptr;
}

// The rules of both that have to move to bring the order of `before` into that of `after`: all but
// a longest run that keeps its order. Each with the rule that it is asked after now.
class Moves {
 public:
  Moves(const std::vector<const Rule*>& before, const std::vector<const Rule*>& after) {
    std::map<std::string_view, std::size_t> place;
    for (std::size_t i = 0; i < before.size(); ++i) place[before[i]->id] = i;
    for (const Rule* const rule : after) {
      const auto found = place.find(rule->id);
      if (found != place.end()) common_.push_back({rule->id, found->second});
    }
    MarkLongestRun();
  }

  void AddTo(std::vector<PolicyChange>& changes) const {
    for (std::size_t i = 0; i < common_.size(); ++i) {
      if (common_[i].stays) continue;
      const std::string where = i == 0 ? "before the others" : "after " + Shown(common_[i - 1].id);
      changes.push_back({"rule " + Shown(common_[i].id) + " is asked " + where + " now", {}});
    }
  }

 private:
  struct Common {
    std::string_view id;
    std::size_t before = 0;  // its place
    bool stays = false;
  };

  // At most limits::kMaxRules, so the square is small.
  void MarkLongestRun() {
    std::vector<std::size_t> length(common_.size(), 1);
    std::vector<std::size_t> previous(common_.size(), common_.size());
    std::size_t last = 0;
    for (std::size_t i = 0; i < common_.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (common_[j].before > common_[i].before || length[j] + 1 <= length[i]) continue;
        length[i] = length[j] + 1;
        previous[i] = j;
      }
      if (length[i] > length[last]) last = i;
    }
    for (std::size_t i = last; i < common_.size(); i = previous[i]) common_[i].stays = true;
  }

  std::vector<Common> common_;
};

using Digests = std::set<model::Sha256>;

Digests DigestsOf(const Document& document, ListKind kind) {
  Digests digests;
  for (const ListedDigest& listed : document.digests) {
    if (listed.kind == kind) digests.insert(listed.digest);
  }
  return digests;
}

std::string NameOf(const Document& document, const model::Sha256& digest) {
  for (const DigestNote& note : document.notes) {
    if (note.digest == digest && !note.name.empty()) {
      return " " + base::EscapeForDisplay(note.name);
    }
  }
  return "";
}

void AddDigests(char sign, const std::vector<model::Sha256>& digests, const Document& document,
                std::vector<std::string>& details) {
  const std::size_t named = std::min(digests.size(), kMaxDigestsInDiff);
  for (std::size_t i = 0; i < named; ++i) {
    details.push_back(std::string(1, sign) + " " + digests[i].ToHex() +
                      NameOf(document, digests[i]));
  }
  if (named < digests.size()) {
    details.push_back(std::string(1, sign) + " and " + std::to_string(digests.size() - named) +
                      " more");
  }
}

void CompareLists(const Document& before, const Document& after,
                  std::vector<PolicyChange>& changes) {
  for (const ListKind kind : model::kListKinds) {
    const Digests old = DigestsOf(before, kind);
    const Digests now = DigestsOf(after, kind);
    std::vector<model::Sha256> added;
    std::vector<model::Sha256> removed;
    std::ranges::set_difference(now, old, std::back_inserter(added));
    std::ranges::set_difference(old, now, std::back_inserter(removed));
    if (added.empty() && removed.empty()) continue;
    PolicyChange change{std::string(model::ListKindName(kind)) + ": " +
                            std::to_string(added.size()) + " added, " +
                            std::to_string(removed.size()) + " removed",
                        {}};
    AddDigests('+', added, after, change.details);
    AddDigests('-', removed, before, change.details);
    changes.push_back(std::move(change));
  }
}

void CompareRules(const Document& before, const Document& after,
                  std::vector<PolicyChange>& changes) {
  for (const DocumentRule& rule : before.rules) {
    if (FindRule(after, rule.rule.id) == nullptr) {
      changes.push_back({"rule " + Shown(rule.rule.id) + " is gone", {Summary(rule.rule)}});
    }
  }
  for (const DocumentRule& rule : after.rules) {
    const Rule* const old = FindRule(before, rule.rule.id);
    if (old == nullptr) {
      changes.push_back({"rule " + Shown(rule.rule.id) + " is new", {Summary(rule.rule)}});
      continue;
    }
    std::vector<std::string> details = DifferencesOf(before, *old, after, rule.rule);
    if (details.empty()) continue;
    changes.push_back({"rule " + Shown(rule.rule.id) + " changed", std::move(details)});
  }
  Moves(OrderOf(before), OrderOf(after)).AddTo(changes);
}

// A setting of which the document may say nothing.
template <typename Value, typename Text>
std::string SettingText(const std::optional<Value>& value, const Text& text) {
  return value.has_value() ? std::string(text(*value)) : "the endpoint's";
}

void CompareSettings(const model::Settings& before, const model::Settings& after,
                     Details& details) {
  const model::ScanSettings& old = before.scan;
  const model::ScanSettings& now = after.scan;
  const auto number = [](std::uint32_t value) { return std::to_string(value); };
  const auto compare = [&](std::string_view what, const auto& was, const auto& is,
                           const auto& text) {
    details.Compare(what, SettingText(was, text), SettingText(is, text));
  };
  compare("min_size", old.min_size_bytes, now.min_size_bytes, BytesText);
  compare("budget: read_per_second", old.read_per_second_bytes, now.read_per_second_bytes,
          BytesText);
  compare("budget: cpu_percent", old.cpu_percent, now.cpu_percent, number);
  compare("budget: pause_on_battery", old.pause_on_battery, now.pause_on_battery, FlagText);
  compare("budget: pause_above_load", old.pause_above_load, now.pause_above_load, number);
  for (const model::SentField& field : model::SentFields()) {
    if (!field.as.has_value()) continue;
    details.Compare("collect: " + std::string(field.name),
                    FlagText(!before.withheld.contains(*field.as)),
                    FlagText(!after.withheld.contains(*field.as)));
  }
}

}  // namespace

std::vector<PolicyChange> ChangesBetween(const Document& before, const Document& after) {
  std::vector<PolicyChange> changes;
  Details whole;
  whole.Compare("name", Shown(before.name), Shown(after.name));
  whole.Compare("mode", ModeText(before.mode), ModeText(after.mode));
  CompareSettings(before.settings, after.settings, whole);
  for (std::string& line : whole.Take()) changes.push_back({std::move(line), {}});
  CompareLists(before, after, changes);
  CompareRules(before, after, changes);
  Details fallback;
  fallback.Compare("then", std::string(model::OutcomeName(before.default_outcome)),
                   std::string(model::OutcomeName(after.default_outcome)));
  fallback.Compare("severity", SeverityText(before.default_severity, before.default_outcome),
                   SeverityText(after.default_severity, after.default_outcome));
  fallback.Compare("message", ShownOrNone(before.default_message),
                   ShownOrNone(after.default_message));
  fallback.Compare("link", ShownOrNone(before.default_link), ShownOrNone(after.default_link));
  if (auto details = fallback.Take(); !details.empty()) {
    changes.push_back({"the default changed", std::move(details)});
  }
  return changes;
}

}  // namespace weighmaster::lang
