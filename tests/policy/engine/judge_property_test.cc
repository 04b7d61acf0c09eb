// Random policies and sightings, judged by the engine and by a naive judge that shares no code with
// it: no field table, no compiled globs, no early exits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/engine/policy.h"
#include "tests/support/random_policies.h"

namespace weighmaster::engine {
namespace {

using model::Basis;
using model::Condition;
using model::DigestState;
using model::FieldTest;
using model::JudgementStep;
using model::Operator;
using model::Outcome;
using model::Rule;
using model::Sighting;
using model::Verdict;

// --- The naive judge ---------------------------------------------------------------------------

// 0 false, 1 unknown, 2 true.
using Three = int;

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Backtracking over lower-case ASCII, straight from the comment of engine::Glob.
bool NaiveGlob(const std::string& pattern, const std::string& text, bool at_folder_start = true) {
  if (pattern.empty()) return text.empty();
  if (at_folder_start && pattern.rfind("**/", 0) == 0) {
    const std::string rest = pattern.substr(3);
    if (NaiveGlob(rest, text, true)) return true;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '/' && NaiveGlob(rest, text.substr(i + 1), true)) return true;
    }
    return false;
  }
  if (pattern.rfind("**", 0) == 0) {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (NaiveGlob(pattern.substr(2), text.substr(i), false)) return true;
    }
    return false;
  }
  if (pattern[0] == '*') {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (NaiveGlob(pattern.substr(1), text.substr(i), false)) return true;
      if (i < text.size() && text[i] == '/') return false;
    }
    return false;
  }
  if (text.empty()) return false;
  if (pattern[0] == '?')
    return text[0] != '/' && NaiveGlob(pattern.substr(1), text.substr(1), false);
  return pattern[0] == text[0] && NaiveGlob(pattern.substr(1), text.substr(1), pattern[0] == '/');
}

struct NaiveValue {
  bool known = false;
  bool fixed = true;
  std::vector<std::string> texts;
  std::uint64_t number = 0;
};

NaiveValue TextsOf(std::vector<std::string> texts) {
  NaiveValue value;
  for (const std::string& text : texts) {
    if (text.empty()) continue;
    value.known = true;
    value.texts.push_back(Lower(text));
  }
  return value;
}

NaiveValue NumberOf(std::optional<std::uint64_t> number) {
  NaiveValue value;
  value.known = number.has_value();
  value.number = number.value_or(0);
  return value;
}

std::optional<std::string> HexOf(const std::optional<model::Sha256>& digest) {
  return digest ? std::optional(digest->ToHex()) : std::nullopt;
}

bool Holds(const std::vector<model::Sha256>& list, const std::optional<model::Sha256>& digest) {
  return digest && std::find(list.begin(), list.end(), *digest) != list.end();
}

NaiveValue NaiveRead(const std::string& field, const Sighting& s, const model::DigestLists& lists) {
  const std::vector<std::string> severities = {"", "info", "low", "medium", "high", "critical"};
  if (field == "format") return TextsOf({std::string(model::FormatName(s.facts.format))});
  if (field == "name") return TextsOf({s.facts.name});
  if (field == "license") return TextsOf({s.facts.license});
  if (field == "path") return TextsOf({s.path.bytes});
  if (field == "file_name") return TextsOf({s.path.FileName()});
  if (field == "owner") return TextsOf({s.owner.id, s.owner.name});
  if (field == "size") return NumberOf(s.size_bytes);
  if (field == "parameters") return NumberOf(s.facts.parameters);
  if (field == "tensor_count") return NumberOf(s.facts.tensor_count);
  if (field == "weights") return TextsOf({HexOf(s.weights_digest).value_or("")});
  if (field == "weights_reason") {
    const bool read = s.weights_digest || s.weights_reason != model::WeightsReason::kNone;
    return TextsOf({read ? std::string(model::WeightsReasonName(s.weights_reason)) : ""});
  }
  if (field == "sha256") {
    const bool verified = s.digest.state == DigestState::kVerified;
    return TextsOf({verified ? HexOf(s.digest.sha256).value_or("") : ""});
  }
  if (field == "weights_approved") {
    NaiveValue value;
    value.known = s.weights_digest.has_value();
    value.number = Holds(lists.approved_weights, s.weights_digest) ? 1 : 0;
    return value;
  }
  if (field == "digest_state") {
    NaiveValue value = TextsOf({std::string(model::DigestStateName(s.digest.state))});
    value.fixed = s.digest.state == DigestState::kVerified;
    return value;
  }
  std::vector<std::string> ids;
  std::uint64_t worst = 0;
  for (const model::Risk& risk : s.facts.risks) {
    ids.push_back(risk.id);
    worst = std::max(worst, static_cast<std::uint64_t>(risk.severity));
  }
  NaiveValue value = field == "risk" ? TextsOf(ids) : NumberOf(worst);
  value.known = true;
  if (field == "risk_severity" && worst > 0) value.texts.push_back(severities[worst]);
  return value;
}

// What is judged, and by which lists.
struct Naive {
  const Sighting& sighting;
  const model::DigestLists& lists;
};

Three NaiveTest(const FieldTest& test, const Naive& of, bool for_good) {
  const NaiveValue value = NaiveRead(test.field, of.sighting, of.lists);
  if (test.op == Operator::kKnown) return value.known == (test.number == 1) ? 2 : 0;
  if (!value.known || (for_good && !value.fixed)) return 1;
  if (test.op == Operator::kAtLeast) return value.number >= test.number ? 2 : 0;
  if (test.op == Operator::kAtMost) return value.number <= test.number ? 2 : 0;
  if (test.field == "weights_approved") return value.number == test.number ? 2 : 0;
  for (const std::string& text : value.texts) {
    for (const std::string& raw : test.texts) {
      const std::string wanted = Lower(raw);
      if (test.op == Operator::kEquals && text == wanted) return 2;
      if (test.op == Operator::kContains && text.find(wanted) != std::string::npos) return 2;
      if (test.op == Operator::kGlob && NaiveGlob(wanted, text)) return 2;
    }
  }
  return 0;
}

Three NaiveEvaluate(const Condition& condition, const Naive& of, bool for_good) {
  if (condition.kind == Condition::Kind::kTest) return NaiveTest(condition.test, of, for_good);
  int falses = 0;
  int unknowns = 0;
  int trues = 0;
  for (const Condition& child : condition.conditions) {
    const Three value = NaiveEvaluate(child, of, for_good);
    ++(value == 0 ? falses : value == 1 ? unknowns : trues);
  }
  switch (condition.kind) {
    case Condition::Kind::kAll:
      return falses > 0 ? 0 : unknowns > 0 ? 1 : 2;
    case Condition::Kind::kAny:
      return trues > 0 ? 2 : unknowns > 0 ? 1 : 0;
    default:
      return falses > 0 ? 2 : unknowns > 0 ? 1 : 0;
  }
}

// Everything about a verdict but its words.
struct Judgement {
  Outcome outcome = Outcome::kAllow;
  JudgementStep step = JudgementStep::kDefault;
  std::string rule = "default";
  Basis basis = Basis::kVerified;
  model::Severity severity = model::Severity::kInfo;
  model::Mode mode = model::Mode::kObserve;
  std::string link = {};
  std::optional<base::WallTime> until = {};
  std::vector<std::string> audits = {};

  friend bool operator==(const Judgement&, const Judgement&) = default;
};

Judgement WithoutWords(const Verdict& v) {
  return {v.outcome, v.step, v.rule, v.basis, v.severity, v.mode, v.link, v.until, v.audits};
}

model::Severity UsualSeverity(Outcome outcome) {
  if (outcome == Outcome::kAllow) return model::Severity::kInfo;
  return outcome == Outcome::kWarn ? model::Severity::kMedium : model::Severity::kHigh;
}

using Exceptions = std::vector<model::Exception>;

Three NaiveApplies(const model::Exception& exception, const Sighting& sighting) {
  const bool verified = sighting.digest.state == DigestState::kVerified;
  const std::optional<model::Sha256> file = verified ? sighting.digest.sha256 : std::nullopt;
  const auto digest = exception.of_weights ? sighting.weights_digest : file;
  const Three subject = !digest ? 1 : *digest == exception.digest ? 2 : 0;
  const std::string& user = exception.user;
  const std::string& id = sighting.owner.id;
  const std::string& name = sighting.owner.name;
  const Three whose = user.empty() || user == id || user == name ? 2 : id + name == "" ? 1 : 0;
  return std::min(subject, whose);
}

// The verdict without exceptions, of what is left of a policy when those that apply to this file
// have taken away what they override.
Judgement NaiveJudge(const model::RuleSet& rules, const model::DigestLists& lists,
                     const Sighting& sighting, base::WallTime now) {
  const Naive of{sighting, lists};
  const bool verified = sighting.digest.state == DigestState::kVerified;
  const Basis listed = verified ? Basis::kVerified : Basis::kClaimed;
  const std::optional<model::Sha256>& sha256 = sighting.digest.sha256;
  const std::optional<model::Sha256>& weights = sighting.weights_digest;
  Judgement made;
  made.mode = rules.mode;
  if (Holds(lists.blocked, sha256)) {
    made = {Outcome::kDeny, JudgementStep::kBlocked, "blocked", listed};
    made.severity = model::Severity::kCritical;
    made.mode = rules.mode;
    return made;
  }
  const bool weights_denied = Holds(lists.denied_weights, weights);
  if (Holds(lists.denied, sha256) || weights_denied) {
    const bool by_file = Holds(lists.denied, sha256);
    made = {Outcome::kDeny, JudgementStep::kDenied, "denied", by_file ? listed : Basis::kVerified};
    made.severity = model::Severity::kHigh;
    made.mode = rules.mode;
    return made;
  }
  const bool may_be_denied = !weights && !lists.denied_weights.empty();
  made.basis = verified && !may_be_denied ? Basis::kVerified : Basis::kPartial;
  for (const bool always : {true, false}) {
    if (!always && verified && Holds(lists.approved, sha256)) {
      made.step = JudgementStep::kApproved;
      made.rule = "approved";
      return made;
    }
    for (const Rule& rule : rules.rules) {
      if (rule.always != always || (rule.expires && *rule.expires <= now)) continue;
      const Three value = NaiveEvaluate(rule.when, of, false);
      const bool fires = value == 2 || (value == 1 && rule.fire_when_unknown);
      if (rule.audit) {
        if (fires) made.audits.push_back(rule.id);
        continue;
      }
      if (NaiveEvaluate(rule.when, of, true) == 1) made.basis = Basis::kPartial;
      if (!fires) continue;
      made.outcome = rule.outcome;
      made.step = always ? JudgementStep::kAlwaysRule : JudgementStep::kRule;
      made.rule = rule.id;
      made.severity = rule.severity.value_or(UsualSeverity(rule.outcome));
      made.mode = rule.mode.value_or(rules.mode);
      made.link = rule.link;
      made.until = rule.expires;
      return made;
    }
  }
  made.outcome = rules.default_outcome;
  made.severity = rules.default_severity.value_or(UsualSeverity(rules.default_outcome));
  made.link = rules.default_link;
  return made;
}

// By elimination: judge, and while the step that decided is overridden, take it away and judge
// again.
Judgement NaiveJudgeExcepted(model::RuleSet rules, model::DigestLists lists,
                             const Exceptions& exceptions, const Sighting& sighting,
                             base::WallTime now) {
  bool open = false;  // something that a step taken away has asked for is not known for good
  std::vector<model::Exception> used;
  while (true) {
    Judgement made = NaiveJudge(rules, lists, sighting, now);
    std::optional<model::Exception> exception;
    for (const model::Exception& one : exceptions) {
      if (made.step == JudgementStep::kBlocked || made.outcome == Outcome::kAllow) break;
      if (one.overrides != made.rule || one.expires <= now) continue;
      const Three applies = NaiveApplies(one, sighting);
      open = open || applies == 1;
      const bool is_longer = !exception || exception->expires < one.expires;
      if (applies == 2 && is_longer) exception = one;
    }
    if (!exception) {
      if (open && made.basis == Basis::kVerified) made.basis = Basis::kPartial;
      if (used.empty()) return made;
      const auto first =
          std::min_element(used.begin(), used.end(),
                           [](const auto& a, const auto& b) { return a.expires < b.expires; });
      if (!made.until || first->expires < *made.until) made.until = first->expires;
      if (made.outcome != Outcome::kAllow) return made;
      made.step = JudgementStep::kException;
      made.rule = first->id.ToHex();
      made.severity = model::Severity::kInfo;
      made.link.clear();
      return made;
    }
    used.push_back(*exception);
    for (const Rule& rule : rules.rules) {
      if (rule.id != made.rule) continue;
      open = open || NaiveEvaluate(rule.when, Naive{sighting, lists}, true) == 1;
    }
    if (made.step == JudgementStep::kDenied) {
      std::erase(lists.denied, *sighting.digest.sha256);
      if (sighting.weights_digest) std::erase(lists.denied_weights, *sighting.weights_digest);
    } else if (made.step == JudgementStep::kDefault) {
      rules.default_outcome = Outcome::kAllow;
      rules.default_severity = model::Severity::kInfo;
    } else {
      std::erase_if(rules.rules, [&](const Rule& rule) { return rule.id == made.rule; });
    }
  }
}

std::shared_ptr<const Policy> MakePolicy(const model::RuleSet& rules,
                                         const model::DigestLists& lists,
                                         const Exceptions& exceptions) {
  auto policy = Policy::Make(1, rules, ListsInMemory(model::EncodeDigestLists(lists)), exceptions);
  EXPECT_TRUE(policy.has_value()) << policy.error().ToString();
  return *policy;
}

TEST(JudgeProperty, EveryVerdictIsTheNaiveJudges) {
  int by_step[8] = {};
  int partial = 0;
  int audited = 0;
  int bounded = 0;
  constexpr int kPolicies = 6'000;
  constexpr int kSightings = 5;
  for (int seed = 0; seed < kPolicies; ++seed) {
    tests::RandomPolicies generator(static_cast<std::uint64_t>(seed));
    const model::RuleSet rules = generator.Rules(true);
    const model::DigestLists lists = generator.Lists();
    const Exceptions exceptions = generator.Exceptions();
    const auto policy = MakePolicy(rules, lists, exceptions);
    for (int i = 0; i < kSightings; ++i) {
      const Sighting sighting = generator.Sighting();
      const base::WallTime now = generator.AnyTime();
      const Verdict verdict = policy->Judge(sighting, now);
      const Judgement expected = NaiveJudgeExcepted(rules, lists, exceptions, sighting, now);
      ASSERT_TRUE(WithoutWords(verdict) == expected) << "seed " << seed << " sighting " << i << ": "
                                                     << verdict.rule << ", not " << expected.rule;
      audited += verdict.audits.empty() ? 0 : 1;
      bounded += verdict.until ? 1 : 0;
      ++by_step[static_cast<int>(verdict.step)];
      partial += verdict.basis == Basis::kPartial ? 1 : 0;
    }
  }
  // The generator reaches every step often enough to mean something.
  for (const JudgementStep step :
       {JudgementStep::kBlocked, JudgementStep::kException, JudgementStep::kDenied,
        JudgementStep::kAlwaysRule, JudgementStep::kApproved, JudgementStep::kRule,
        JudgementStep::kDefault}) {
    EXPECT_GT(by_step[static_cast<int>(step)], 300) << model::JudgementStepName(step);
  }
  EXPECT_GT(partial, 1'000);
  EXPECT_GT(audited, 1'000);
  EXPECT_GT(bounded, 300);
}

// What `verified` promises: nothing that becomes known later changes the verdict. Policies that ask
// whether a field is known are left out, because there the answer is the fact.
TEST(JudgeProperty, AVerifiedVerdictOutlivesWhateverBecomesKnown) {
  int checked = 0;
  for (int seed = 0; seed < 6'000; ++seed) {
    tests::RandomPolicies generator(static_cast<std::uint64_t>(seed) + 1'000'000);
    const auto policy =
        MakePolicy(generator.Rules(false), generator.Lists(), generator.Exceptions());
    for (int i = 0; i < 5; ++i) {
      const Sighting sighting = generator.Sighting();
      const Verdict verdict = policy->Judge(sighting, {});
      if (verdict.basis != Basis::kVerified) continue;
      Verdict later = policy->Judge(generator.Completed(sighting), {});
      later.audits = verdict.audits;  // what only watches may learn more
      ASSERT_TRUE(model::SameJudgement(verdict, later))
          << "seed " << seed << ": " << verdict.rule << ", then " << later.rule;
      ++checked;
    }
  }
  EXPECT_GT(checked, 2'000);
}

}  // namespace
}  // namespace weighmaster::engine
