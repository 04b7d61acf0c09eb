// Random policies and sightings, judged by the engine and by a naive judge that shares no code with
// it: no field table, no compiled globs, no early exits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/random.h"
#include "policy/engine/policy.h"

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

NaiveValue NaiveRead(const std::string& field, const Sighting& s) {
  const std::vector<std::string> severities = {"", "info", "low", "medium", "high", "critical"};
  if (field == "format") return TextsOf({std::string(model::FormatName(s.facts.format))});
  if (field == "name") return TextsOf({s.facts.name});
  if (field == "license") return TextsOf({s.facts.license});
  if (field == "path") return TextsOf({s.path.bytes});
  if (field == "file_name") return TextsOf({s.path.FileName()});
  if (field == "owner") return TextsOf({s.owner.id, s.owner.name});
  if (field == "size") return NumberOf(s.size_bytes);
  if (field == "parameters") return NumberOf(s.facts.parameters);
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

Three NaiveTest(const FieldTest& test, const Sighting& sighting, bool for_good) {
  const NaiveValue value = NaiveRead(test.field, sighting);
  if (test.op == Operator::kKnown) return value.known == (test.number == 1) ? 2 : 0;
  if (!value.known || (for_good && !value.fixed)) return 1;
  if (test.op == Operator::kAtLeast) return value.number >= test.number ? 2 : 0;
  if (test.op == Operator::kAtMost) return value.number <= test.number ? 2 : 0;
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

Three NaiveEvaluate(const Condition& condition, const Sighting& sighting, bool for_good) {
  if (condition.kind == Condition::Kind::kTest) {
    return NaiveTest(condition.test, sighting, for_good);
  }
  int falses = 0;
  int unknowns = 0;
  int trues = 0;
  for (const Condition& child : condition.conditions) {
    const Three value = NaiveEvaluate(child, sighting, for_good);
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

bool IsOn(const std::vector<model::Sha256>& list, const Sighting& sighting) {
  return sighting.digest.sha256 &&
         std::find(list.begin(), list.end(), *sighting.digest.sha256) != list.end();
}

struct Judgement {
  Outcome outcome = Outcome::kAllow;
  JudgementStep step = JudgementStep::kDefault;
  std::string rule = "default";
  Basis basis = Basis::kVerified;
};

Judgement NaiveJudge(const model::RuleSet& rules, const model::DigestLists& lists,
                     const Sighting& sighting) {
  const bool verified = sighting.digest.state == DigestState::kVerified;
  const Basis listed = verified ? Basis::kVerified : Basis::kClaimed;
  if (IsOn(lists.blocked, sighting)) {
    return {Outcome::kDeny, JudgementStep::kBlocked, "blocked", listed};
  }
  if (IsOn(lists.denied, sighting)) {
    return {Outcome::kDeny, JudgementStep::kDenied, "denied", listed};
  }
  Basis basis = verified ? Basis::kVerified : Basis::kPartial;
  for (const bool always : {true, false}) {
    if (!always && verified && IsOn(lists.approved, sighting)) {
      return {Outcome::kAllow, JudgementStep::kApproved, "approved", basis};
    }
    for (const Rule& rule : rules.rules) {
      if (rule.always != always) continue;
      if (NaiveEvaluate(rule.when, sighting, true) == 1) basis = Basis::kPartial;
      const Three now = NaiveEvaluate(rule.when, sighting, false);
      if (now == 2 || (now == 1 && rule.fire_when_unknown)) {
        return {rule.outcome, always ? JudgementStep::kAlwaysRule : JudgementStep::kRule, rule.id,
                basis};
      }
    }
  }
  return {rules.default_outcome, JudgementStep::kDefault, "default", basis};
}

// --- Random policies and sightings
// -----------------------------------------------------------------

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  model::RuleSet Rules(bool may_ask_known) {
    model::RuleSet rules;
    rules.policy_name = "random";
    const std::size_t count = random_.Below(6);
    for (std::size_t i = 0; i < count; ++i) {
      Rule rule;
      rule.id = "r" + std::to_string(i);
      rule.always = Chance(3);
      rule.when = MakeCondition(3, may_ask_known);
      rule.outcome = AnyOutcome();
      rule.fire_when_unknown = Chance(4);
      rules.rules.push_back(std::move(rule));
    }
    rules.default_outcome = AnyOutcome();
    return rules;
  }

  model::DigestLists Lists() {
    model::DigestLists lists;
    for (std::uint8_t digest = 0; digest < 8; ++digest) {
      if (Chance(6)) lists.blocked.push_back(Digest(digest));
      if (Chance(6)) lists.denied.push_back(Digest(digest));
      if (Chance(4)) lists.approved.push_back(Digest(digest));
    }
    return lists;
  }

  Sighting MakeSighting() {
    Sighting s;
    s.path.bytes =
        Pick({"/tmp/a.gguf", "/home/ada/models/b", "/home/models/c", "/x/y/z/model.bin"});
    s.size_bytes = random_.Below(5);
    s.facts.format = static_cast<model::Format>(random_.Below(6));
    if (Chance(2)) s.facts.name = Name();
    if (Chance(2)) s.facts.license = License();
    if (Chance(2)) s.facts.parameters = random_.Below(5);
    if (Chance(2)) s.owner = Owner();
    for (std::size_t i = random_.Below(3); i > 0; --i) {
      s.facts.risks.push_back({Pick({"malformed", "opaque", "pickle_executes_code"}),
                               static_cast<model::Severity>(1 + random_.Below(5)), "", ""});
    }
    s.digest.state = static_cast<DigestState>(1 + random_.Below(4));
    if (s.digest.state == DigestState::kClaimed || s.digest.state == DigestState::kVerified) {
      s.digest.sha256 = Digest(static_cast<std::uint8_t>(random_.Below(8)));
    }
    return s;
  }

  // The same sighting once everything is known.
  Sighting Completed(Sighting s) {
    if (s.facts.name.empty()) s.facts.name = Name();
    if (s.facts.license.empty()) s.facts.license = License();
    if (!s.facts.parameters) s.facts.parameters = random_.Below(5);
    if (s.owner.id.empty() && s.owner.name.empty()) s.owner = Owner();
    return s;
  }

 private:
  static model::Sha256 Digest(std::uint8_t fill) {
    model::Sha256 digest;
    digest.bytes.fill(fill);
    return digest;
  }
  bool Chance(std::uint64_t one_in) { return random_.Below(one_in) == 0; }
  std::string Pick(const std::vector<std::string>& from) {
    return from[random_.Below(from.size())];
  }
  std::string Name() { return Pick({"Llama-3", "qwen2", "a/b"}); }
  std::string License() { return Pick({"mit", "Apache-2.0", "cc-by-nc-4.0"}); }
  model::User Owner() { return {Pick({"0", "1000"}), Pick({"", "ada", "root"})}; }
  Outcome AnyOutcome() { return static_cast<Outcome>(1 + random_.Below(3)); }

  Condition MakeCondition(int depth, bool may_ask_known) {
    Condition condition;
    const std::uint64_t kind = depth == 0 ? 3 : random_.Below(5);
    condition.kind = static_cast<Condition::Kind>(std::min<std::uint64_t>(kind, 3));
    if (condition.kind == Condition::Kind::kTest) {
      condition.test = MakeTest(may_ask_known);
      return condition;
    }
    const std::size_t count = condition.kind == Condition::Kind::kNot ? 1 : random_.Below(4);
    for (std::size_t i = 0; i < count; ++i) {
      condition.conditions.push_back(MakeCondition(depth - 1, may_ask_known));
    }
    return condition;
  }

  FieldTest MakeTest(bool may_ask_known) {
    FieldTest test;
    test.field = Pick({"format", "name", "license", "path", "file_name", "owner", "size",
                       "parameters", "risk", "risk_severity", "digest_state"});
    const bool is_number =
        test.field == "size" || test.field == "parameters" || test.field == "risk_severity";
    if (may_ask_known && Chance(8)) {
      test.op = Operator::kKnown;
      test.number = random_.Below(2);
    } else if (is_number && (test.field != "risk_severity" || Chance(2))) {
      test.op = Chance(2) ? Operator::kAtLeast : Operator::kAtMost;
      test.number = random_.Below(5);
    } else if (is_number) {
      test.op = Operator::kEquals;
      test.texts = {Pick({"info", "HIGH", "critical"})};
    } else {
      const Operator ops[] = {Operator::kEquals, Operator::kGlob, Operator::kContains};
      test.op = ops[random_.Below(3)];
      for (std::size_t i = 1 + random_.Below(2); i > 0; --i) test.texts.push_back(Text(test.op));
    }
    return test;
  }

  std::string Text(Operator op) {
    if (op == Operator::kGlob && Chance(2)) {
      std::string glob;
      for (std::size_t i = 1 + random_.Below(7); i > 0; --i) {
        glob += Pick({"*", "**", "**/", "?", "/", "a", "M", "models", "l", "-"});
      }
      return glob;
    }
    if (op == Operator::kContains) return Pick({"i", "a", "NC", "/tmp", "l"});
    return Pick({"MIT", "apache-2.0", "cc-by-nc-4.0", "llama-3", "qwen2", "gguf", "pickle", "ada",
                 "0", "malformed", "OPAQUE", "pending", "verified", "/tmp/a.gguf", "b"});
  }

  base::SeededRandom random_;
};

std::shared_ptr<const Policy> MakePolicy(const model::RuleSet& rules,
                                         const model::DigestLists& lists) {
  auto policy = Policy::Make(1, rules, ListsInMemory(model::EncodeDigestLists(lists)));
  EXPECT_TRUE(policy.has_value()) << policy.error().ToString();
  return *policy;
}

TEST(JudgeProperty, EveryVerdictIsTheNaiveJudges) {
  int by_step[8] = {};
  int partial = 0;
  constexpr int kPolicies = 6'000;
  constexpr int kSightings = 5;
  for (int seed = 0; seed < kPolicies; ++seed) {
    Generator generator(static_cast<std::uint64_t>(seed));
    const model::RuleSet rules = generator.Rules(true);
    const model::DigestLists lists = generator.Lists();
    const auto policy = MakePolicy(rules, lists);
    for (int i = 0; i < kSightings; ++i) {
      const Sighting sighting = generator.MakeSighting();
      const Verdict verdict = policy->Judge(sighting);
      const Judgement expected = NaiveJudge(rules, lists, sighting);
      ASSERT_EQ(verdict.outcome, expected.outcome) << "seed " << seed << " sighting " << i;
      ASSERT_EQ(verdict.step, expected.step) << "seed " << seed << " sighting " << i;
      ASSERT_EQ(verdict.rule, expected.rule) << "seed " << seed << " sighting " << i;
      ASSERT_EQ(verdict.basis, expected.basis) << "seed " << seed << " sighting " << i;
      ++by_step[static_cast<int>(verdict.step)];
      partial += verdict.basis == Basis::kPartial ? 1 : 0;
    }
  }
  // The generator reaches every step often enough to mean something.
  for (const JudgementStep step :
       {JudgementStep::kBlocked, JudgementStep::kDenied, JudgementStep::kAlwaysRule,
        JudgementStep::kApproved, JudgementStep::kRule, JudgementStep::kDefault}) {
    EXPECT_GT(by_step[static_cast<int>(step)], 300) << model::JudgementStepName(step);
  }
  EXPECT_GT(partial, 1'000);
}

// What `verified` promises: nothing that becomes known later changes the verdict. Policies that ask
// whether a field is known are left out, because there the answer is the fact.
TEST(JudgeProperty, AVerifiedVerdictOutlivesWhateverBecomesKnown) {
  int checked = 0;
  for (int seed = 0; seed < 6'000; ++seed) {
    Generator generator(static_cast<std::uint64_t>(seed) + 1'000'000);
    const auto policy = MakePolicy(generator.Rules(false), generator.Lists());
    for (int i = 0; i < 5; ++i) {
      const Sighting sighting = generator.MakeSighting();
      const Verdict verdict = policy->Judge(sighting);
      if (verdict.basis != Basis::kVerified) continue;
      const Verdict later = policy->Judge(generator.Completed(sighting));
      ASSERT_TRUE(model::SameJudgement(verdict, later))
          << "seed " << seed << ": " << verdict.rule << ", then " << later.rule;
      ++checked;
    }
  }
  EXPECT_GT(checked, 2'000);
}

}  // namespace
}  // namespace weighmaster::engine
