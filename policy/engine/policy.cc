#include "policy/engine/policy.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "policy/base/check.h"
#include "policy/base/limits.h"

namespace weighmaster::engine {
namespace {

using model::Basis;
using model::JudgementStep;
using model::ListKind;
using model::Outcome;
using model::Sighting;
using model::Verdict;

// Of who claimed a digest, in a reason: enough to know them by.
constexpr std::size_t kMaxClaimantBytes = 128;
constexpr std::string_view kStepsWithoutRules[] = {"blocked", "denied", "approved", "default"};

class MemoryLists final : public ListsStorage {
 public:
  explicit MemoryLists(base::Bytes bytes) : bytes_(std::move(bytes)) {}
  base::ByteView bytes() const override { return bytes_; }

 private:
  const base::Bytes bytes_;
};

bool IsOutcome(Outcome outcome) {
  return outcome == Outcome::kAllow || outcome == Outcome::kWarn || outcome == Outcome::kDeny;
}

bool IsVerified(const Sighting& sighting) {
  return sighting.digest.state == model::DigestState::kVerified &&
         sighting.digest.sha256.has_value();
}

std::string ListReason(ListKind kind, const Sighting& sighting) {
  std::string reason = "The file's SHA-256";
  if (!IsVerified(sighting)) {
    reason += ", as claimed";
    const std::string_view claimant = sighting.digest.detail;
    if (!claimant.empty()) {
      reason += " by " + base::EscapeForDisplay(claimant.substr(0, kMaxClaimantBytes));
    }
    reason += ',';
  }
  return reason + " is on the " + std::string(model::ListKindName(kind)) + " list.";
}

std::string RuleReason(const model::Rule& rule, const std::vector<std::string_view>& unknown) {
  std::string reason = rule.message.empty() ? "Rule \"" + rule.id + "\" applies." : rule.message;
  if (unknown.empty()) return reason;
  reason += " (not known:";
  for (const std::string_view name : unknown) {
    reason += name == unknown.front() ? " " : ", ";
    reason += name;
  }
  return reason + ")";
}

std::string DefaultReason(const model::RuleSet& rules) {
  if (!rules.default_message.empty()) return rules.default_message;
  return "No rule of policy \"" + base::EscapeForDisplay(rules.policy_name) + "\" applies.";
}

}  // namespace

bool IsRuleId(std::string_view id) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (id.empty() || id.size() > base::limits::kMaxRuleIdBytes || !is_plain(id.front())) {
    return false;
  }
  const bool spelled_well = std::ranges::all_of(
      id, [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
  return spelled_well && std::ranges::find(kStepsWithoutRules, id) == std::end(kStepsWithoutRules);
}

base::Result<std::shared_ptr<const Policy>> Policy::Make(
    std::uint64_t version, model::RuleSet rules, std::shared_ptr<const ListsStorage> lists) {
  if (rules.rules.size() > base::limits::kMaxRules) {
    return base::InvalidArgument("the policy has " + std::to_string(rules.rules.size()) +
                                 " rules; the limit is " + std::to_string(base::limits::kMaxRules));
  }
  if (rules.policy_name.size() > base::limits::kMaxPolicyNameBytes ||
      rules.default_message.size() > base::limits::kMaxRuleMessageBytes) {
    return base::InvalidArgument("the policy's name or the default's message is too long");
  }
  if (!IsOutcome(rules.default_outcome)) {
    return base::InvalidArgument("the default is neither allow, warn nor deny");
  }
  std::vector<CompiledRule> compiled;
  compiled.reserve(rules.rules.size());
  std::unordered_set<std::string_view> ids;
  for (std::size_t i = 0; i < rules.rules.size(); ++i) {
    const model::Rule& rule = rules.rules[i];
    const std::string what =
        "checking rule " + std::to_string(i + 1) + " (" + base::EscapeForDisplay(rule.id) + ")";
    if (!IsRuleId(rule.id)) return base::InvalidArgument("the id is not allowed").While(what);
    if (!ids.insert(rule.id).second) {
      return base::InvalidArgument("an earlier rule has the same id").While(what);
    }
    if (!IsOutcome(rule.outcome)) {
      return base::InvalidArgument("the outcome is neither allow, warn nor deny").While(what);
    }
    if (rule.message.size() > base::limits::kMaxRuleMessageBytes) {
      return base::InvalidArgument("the message is too long").While(what);
    }
    base::Result<CompiledCondition> when = CompiledCondition::Compile(rule.when);
    if (!when.has_value()) return std::move(when).error().While(what);
    compiled.push_back({i, std::move(when).value()});
  }
  model::DigestListsView view;
  if (lists != nullptr) {
    WM_ASSIGN_OR_RETURN(view, model::DigestListsView::Parse(lists->bytes()));
  }
  return std::shared_ptr<const Policy>(
      new Policy(version, std::move(rules), std::move(compiled), std::move(lists), view));
}

Policy::Policy(std::uint64_t version, model::RuleSet rules, std::vector<CompiledRule> compiled,
               std::shared_ptr<const ListsStorage> storage, model::DigestListsView lists)
    : version_(version),
      rules_(std::move(rules)),
      compiled_(std::move(compiled)),
      storage_(std::move(storage)),
      lists_(lists) {}

std::shared_ptr<const Policy> Policy::None() {
  model::RuleSet rules;
  rules.default_message = "No policy has been applied yet.";
  base::Result<std::shared_ptr<const Policy>> none = Make(0, std::move(rules), nullptr);
  WM_CHECK(none.has_value());
  return std::move(none).value();
}

Verdict Policy::Judge(const Sighting& sighting) const {
  // Whether something that a step so far has asked for may still become known. Without a verified
  // digest no list has been asked for good.
  bool open = !IsVerified(sighting);
  for (const ListKind kind : {ListKind::kBlocked, ListKind::kDenied}) {
    if (std::optional<Verdict> verdict = JudgeByList(kind, sighting)) return *std::move(verdict);
  }
  if (std::optional<Verdict> verdict = JudgeByRules(true, sighting, open)) {
    return *std::move(verdict);
  }
  if (IsVerified(sighting) && lists_.Contains(ListKind::kApproved, *sighting.digest.sha256)) {
    return MakeVerdict(Outcome::kAllow, JudgementStep::kApproved, "approved",
                       ListReason(ListKind::kApproved, sighting), open);
  }
  if (std::optional<Verdict> verdict = JudgeByRules(false, sighting, open)) {
    return *std::move(verdict);
  }
  return MakeVerdict(rules_.default_outcome, JudgementStep::kDefault, "default",
                     DefaultReason(rules_), open);
}

std::optional<Verdict> Policy::JudgeByList(ListKind kind, const Sighting& sighting) const {
  const std::optional<model::Sha256>& digest = sighting.digest.sha256;
  if (!digest || !lists_.Contains(kind, *digest)) return std::nullopt;
  const JudgementStep step =
      kind == ListKind::kBlocked ? JudgementStep::kBlocked : JudgementStep::kDenied;
  Verdict verdict = MakeVerdict(Outcome::kDeny, step, model::ListKindName(kind),
                                ListReason(kind, sighting), false);
  if (!IsVerified(sighting)) verdict.basis = Basis::kClaimed;
  return verdict;
}

std::optional<Verdict> Policy::JudgeByRules(bool always, const Sighting& sighting,
                                            bool& open) const {
  for (const CompiledRule& compiled : compiled_) {
    const model::Rule& rule = rules_.rules[compiled.index];
    if (rule.always != always) continue;
    const Evaluation result = compiled.when.Evaluate(sighting);
    open = open || result.lasting == Truth::kUnknown;
    const bool fires_blind = result.now == Truth::kUnknown && rule.fire_when_unknown;
    if (result.now != Truth::kTrue && !fires_blind) continue;
    std::vector<std::string_view> unknown;
    if (fires_blind) unknown = compiled.when.UnknownFields(sighting);
    return MakeVerdict(rule.outcome, always ? JudgementStep::kAlwaysRule : JudgementStep::kRule,
                       rule.id, RuleReason(rule, unknown), open);
  }
  return std::nullopt;
}

Verdict Policy::MakeVerdict(Outcome outcome, JudgementStep step, std::string_view rule,
                            std::string reason, bool open) const {
  Verdict verdict;
  verdict.outcome = outcome;
  verdict.step = step;
  verdict.rule = rule;
  verdict.reason = std::move(reason);
  verdict.basis = open ? Basis::kPartial : Basis::kVerified;
  verdict.policy_version = version_;
  return verdict;
}

std::shared_ptr<const ListsStorage> ListsInMemory(base::Bytes bytes) {
  return std::make_shared<MemoryLists>(std::move(bytes));
}

}  // namespace weighmaster::engine
