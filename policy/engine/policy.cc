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
  if (kind == ListKind::kDeniedWeights) return "The model's weights are on the denied list.";
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

// Whether an exception is for this file. Only what was read counts, never a claim.
Truth Applies(const model::Exception& exception, const Sighting& sighting) {
  const auto truth = [](bool holds) { return holds ? Truth::kTrue : Truth::kFalse; };
  const auto& digest = exception.of_weights ? sighting.weights_digest : sighting.digest.sha256;
  const bool is_known = exception.of_weights ? digest.has_value() : IsVerified(sighting);
  const Truth subject = is_known ? truth(*digest == exception.digest) : Truth::kUnknown;
  if (exception.user.empty()) return subject;
  const model::User& owner = sighting.owner;
  const bool has_owner = !owner.id.empty() || !owner.name.empty();
  const bool is_his = exception.user == owner.id || exception.user == owner.name;
  return std::min(subject, has_owner ? truth(is_his) : Truth::kUnknown);
}

bool IsLinkOrNone(std::string_view link) { return link.empty() || IsLink(link); }

template <typename Number>
bool IsWithin(std::optional<Number> number, Number least, Number most) {
  return !number.has_value() || (*number >= least && *number <= most);
}

base::Status CheckSettings(const model::ScanSettings& scan) {
  namespace limits = base::limits;
  if (!IsWithin<std::uint64_t>(scan.min_size_bytes, 0, limits::kMaxMinFileBytes)) {
    return base::InvalidArgument("min_size is too large");
  }
  if (!IsWithin(scan.read_per_second_bytes, limits::kLeastReadPerSecondBytes,
                limits::kMaxReadPerSecondBytes)) {
    return base::InvalidArgument("read_per_second is out of its bounds");
  }
  if (!IsWithin<std::uint32_t>(scan.cpu_percent, 1, 100)) {
    return base::InvalidArgument("cpu_percent is not from 1 to 100");
  }
  if (!IsWithin<std::uint32_t>(scan.pause_above_load, 0, limits::kMaxPauseAboveLoad)) {
    return base::InvalidArgument("pause_above_load is too large");
  }
  return {};
}

// Everything but its condition, and that its id is the only one.
base::Status CheckRule(const model::Rule& rule) {
  if (!IsRuleId(rule.id)) return base::InvalidArgument("the id is not allowed");
  if (!IsOutcome(rule.outcome)) {
    return base::InvalidArgument("the outcome is neither allow, warn nor deny");
  }
  if (rule.message.size() > base::limits::kMaxRuleMessageBytes) {
    return base::InvalidArgument("the message is too long");
  }
  if (!IsLinkOrNone(rule.link)) return base::InvalidArgument("the link is no https address");
  return {};
}

}  // namespace

bool IsLink(std::string_view link) {
  constexpr std::string_view kScheme = "https://";
  if (link.size() > base::limits::kMaxLinkBytes || !link.starts_with(kScheme)) return false;
  link.remove_prefix(kScheme.size());
  // Printable ASCII without what could break out of a terminal line or an attribute.
  constexpr std::string_view kBad = " \"'<>\\^`{|}";
  return !link.empty() && link.front() != '/' && std::ranges::all_of(link, [&](char c) {
    return c > ' ' && c < '\x7f' && kBad.find(c) == std::string_view::npos;
  });
}

bool IsRuleId(std::string_view id) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (id.empty() || id.size() > base::limits::kMaxRuleIdBytes || !is_plain(id.front())) {
    return false;
  }
  const bool spelled_well = std::ranges::all_of(
      id, [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
  return spelled_well && std::ranges::find(kStepsWithoutRules, id) == std::end(kStepsWithoutRules);
}

base::Result<std::shared_ptr<const Policy>> Policy::Make(std::uint64_t version,
                                                         model::RuleSet rules,
                                                         std::shared_ptr<const ListsStorage> lists,
                                                         std::vector<model::Exception> exceptions) {
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
  if (!IsLinkOrNone(rules.default_link)) {
    return base::InvalidArgument("the default's link is no https address");
  }
  WM_RETURN_IF_ERROR(CheckSettings(rules.settings.scan));
  std::vector<CompiledRule> compiled;
  compiled.reserve(rules.rules.size());
  std::unordered_set<std::string_view> ids;
  for (std::size_t i = 0; i < rules.rules.size(); ++i) {
    const model::Rule& rule = rules.rules[i];
    const std::string what =
        "checking rule " + std::to_string(i + 1) + " (" + base::EscapeForDisplay(rule.id) + ")";
    if (auto good = CheckRule(rule); !good.has_value()) return std::move(good).error().While(what);
    if (!ids.insert(rule.id).second) {
      return base::InvalidArgument("an earlier rule has the same id").While(what);
    }
    base::Result<CompiledCondition> when = CompiledCondition::Compile(rule.when);
    if (!when.has_value()) return std::move(when).error().While(what);
    compiled.push_back({i, std::move(when).value()});
  }
  model::DigestListsView view;
  if (lists != nullptr) {
    WM_ASSIGN_OR_RETURN(view, model::DigestListsView::Parse(lists->bytes()));
  }
  return std::shared_ptr<const Policy>(new Policy(version, std::move(rules), std::move(compiled),
                                                  std::move(lists), view, std::move(exceptions)));
}

Policy::Policy(std::uint64_t version, model::RuleSet rules, std::vector<CompiledRule> compiled,
               std::shared_ptr<const ListsStorage> storage, model::DigestListsView lists,
               std::vector<model::Exception> exceptions)
    : version_(version),
      rules_(std::move(rules)),
      compiled_(std::move(compiled)),
      storage_(std::move(storage)),
      lists_(lists),
      exceptions_(std::move(exceptions)) {}

std::shared_ptr<const Policy> Policy::None(model::WithheldFields withheld) {
  model::RuleSet rules;
  rules.settings.withheld = std::move(withheld);
  rules.default_message = "No policy has been applied yet.";
  base::Result<std::shared_ptr<const Policy>> none = Make(0, std::move(rules), nullptr);
  WM_CHECK(none.has_value());
  return std::move(none).value();
}

// One judgement under way: the steps in their order, and what they have found out so far.
class Policy::Judgement {
 public:
  Judgement(const Policy& policy, const Sighting& sighting, base::WallTime now,
            std::span<const model::Exception> exceptions)
      : policy_(policy),
        exceptions_(exceptions),
        sighting_(sighting),
        subject_{sighting, policy.lists_},
        now_(now),
        open_(!IsVerified(sighting)) {}

  Verdict Decide() {
    std::optional<Verdict> verdict = ByDeniedLists();
    if (!verdict) verdict = ByRules(true);
    if (!verdict) verdict = ByApprovedList();
    if (!verdict) verdict = ByRules(false);
    if (!verdict) verdict = ByDefault();
    verdict->audits = std::move(audits_);
    if (exception_ != nullptr) Except(*verdict);
    return *std::move(verdict);
  }

 private:
  std::optional<Verdict> ByDeniedLists() {
    const std::optional<model::Sha256>& digest = sighting_.digest.sha256;
    if (digest && policy_.lists_.Contains(ListKind::kBlocked, *digest)) {
      return Denied(ListKind::kBlocked, JudgementStep::kBlocked);
    }
    const std::optional<model::Sha256>& weights = sighting_.weights_digest;
    const bool is_denied = digest && policy_.lists_.Contains(ListKind::kDenied, *digest);
    if (is_denied && !Overridden(Outcome::kDeny, "denied")) {
      return Denied(ListKind::kDenied, JudgementStep::kDenied);
    }
    const bool are_denied = weights && policy_.lists_.Contains(ListKind::kDeniedWeights, *weights);
    if (are_denied && !Overridden(Outcome::kDeny, "denied")) {
      return Denied(ListKind::kDeniedWeights, JudgementStep::kDenied);
    }
    open_ = open_ || (!weights && policy_.lists_.count(ListKind::kDeniedWeights) > 0);
    return std::nullopt;
  }

  Verdict Denied(ListKind kind, JudgementStep step) const {
    Verdict verdict =
        Make(Outcome::kDeny, step, model::JudgementStepName(step), ListReason(kind, sighting_));
    if (step == JudgementStep::kBlocked) verdict.severity = model::Severity::kCritical;
    const bool claimed = kind != ListKind::kDeniedWeights && !IsVerified(sighting_);
    verdict.basis = claimed            ? Basis::kClaimed
                    : may_be_excepted_ ? Basis::kPartial
                                       : Basis::kVerified;
    return verdict;
  }

  std::optional<Verdict> ByApprovedList() const {
    if (!IsVerified(sighting_)) return std::nullopt;
    if (!policy_.lists_.Contains(ListKind::kApproved, *sighting_.digest.sha256)) {
      return std::nullopt;
    }
    return Make(Outcome::kAllow, JudgementStep::kApproved, "approved",
                ListReason(ListKind::kApproved, sighting_));
  }

  // The first rule that fires of those that are `always`, or of the others.
  std::optional<Verdict> ByRules(bool always) {
    for (const CompiledRule& compiled : policy_.compiled_) {
      const model::Rule& rule = policy_.rules_.rules[compiled.index];
      const bool expired = rule.expires.has_value() && *rule.expires <= now_;
      if (rule.always != always || expired) continue;
      const Evaluation result = compiled.when.Evaluate(subject_);
      const bool fires_blind = result.now == Truth::kUnknown && rule.fire_when_unknown;
      const bool fires = result.now == Truth::kTrue || fires_blind;
      if (rule.audit) {
        if (fires && audits_.size() < base::limits::kMaxAuditsInVerdict) audits_.push_back(rule.id);
        continue;
      }
      open_ = open_ || result.lasting == Truth::kUnknown;
      if (!fires || Overridden(rule.outcome, rule.id)) continue;
      return OfRule(rule, fires_blind ? compiled.when.UnknownFields(subject_)
                                      : std::vector<std::string_view>());
    }
    return std::nullopt;
  }

  Verdict OfRule(const model::Rule& rule, const std::vector<std::string_view>& unknown) const {
    Verdict verdict =
        Make(rule.outcome, rule.always ? JudgementStep::kAlwaysRule : JudgementStep::kRule, rule.id,
             RuleReason(rule, unknown));
    if (rule.severity) verdict.severity = *rule.severity;
    if (rule.mode) verdict.mode = *rule.mode;
    verdict.link = rule.link;
    verdict.until = rule.expires;
    return verdict;
  }

  Verdict ByDefault() {
    const model::RuleSet& rules = policy_.rules_;
    if (Overridden(rules.default_outcome, "default")) {
      return Make(Outcome::kAllow, JudgementStep::kException, "", "");
    }
    Verdict verdict =
        Make(rules.default_outcome, JudgementStep::kDefault, "default", DefaultReason(rules));
    if (rules.default_severity) verdict.severity = *rules.default_severity;
    verdict.link = rules.default_link;
    return verdict;
  }

  Verdict Make(Outcome outcome, JudgementStep step, std::string_view rule,
               std::string reason) const {
    Verdict verdict;
    verdict.outcome = outcome;
    verdict.step = step;
    verdict.rule = rule;
    verdict.reason = std::move(reason);
    verdict.basis = open_ || may_be_excepted_ ? Basis::kPartial : Basis::kVerified;
    verdict.policy_version = policy_.version_;
    verdict.mode = policy_.rules_.mode;
    verdict.severity = model::SeverityOf(outcome);
    return verdict;
  }

  // Whether an exception takes this file out of the reach of a step that speaks against it.
  bool Overridden(Outcome outcome, std::string_view rule) {
    if (outcome == Outcome::kAllow) return false;
    const model::Exception* longest = nullptr;
    for (const model::Exception& exception : exceptions_) {
      if (exception.overrides != rule || exception.expires <= now_) continue;
      const Truth applies = Applies(exception, sighting_);
      may_be_excepted_ = may_be_excepted_ || applies == Truth::kUnknown;
      if (applies != Truth::kTrue) continue;
      if (longest == nullptr || longest->expires < exception.expires) longest = &exception;
    }
    if (longest == nullptr) return false;
    if (exception_ == nullptr || longest->expires < exception_->expires) exception_ = longest;
    return true;
  }

  // Several may have been needed: the verdict names, and holds as long as, the first that ends.
  void Except(Verdict& verdict) const {
    if (!verdict.until || exception_->expires < *verdict.until) verdict.until = exception_->expires;
    if (verdict.outcome != Outcome::kAllow) return;
    verdict.step = JudgementStep::kException;
    verdict.rule = exception_->id.ToHex();
    verdict.reason = exception_->reason;
    verdict.severity = model::Severity::kInfo;
    verdict.link.clear();
  }

  const Policy& policy_;
  const std::span<const model::Exception> exceptions_;
  const Sighting& sighting_;
  const Subject subject_;
  const base::WallTime now_;
  // Whether something that a step so far has asked for may still become known. Without a verified
  // digest no list has been asked for good.
  bool open_;
  std::vector<std::string> audits_;
  // Of the exceptions that were used, the one that ends first.
  const model::Exception* exception_ = nullptr;
  // Whether one that was asked for may turn out to be for this file.
  bool may_be_excepted_ = false;
};

Verdict Policy::Judge(const Sighting& sighting, base::WallTime now,
                      std::span<const model::Exception> exceptions) const {
  return Judgement(*this, sighting, now, exceptions).Decide();
}

std::vector<model::Exception> Policy::ExceptionsFor(const Sighting& sighting,
                                                    base::WallTime now) const {
  std::vector<model::Exception> found;
  for (const model::Exception& exception : exceptions_) {
    if (exception.expires > now && Applies(exception, sighting) == Truth::kTrue) {
      found.push_back(exception);
    }
  }
  return found;
}

std::optional<base::WallTime> Policy::NextExpiry(base::WallTime now) const {
  std::optional<base::WallTime> next;
  const auto consider = [&](base::WallTime expires) {
    if (expires > now && (!next || expires < *next)) next = expires;
  };
  for (const model::Rule& rule : rules_.rules) {
    if (rule.expires) consider(*rule.expires);
  }
  for (const model::Exception& exception : exceptions_) consider(exception.expires);
  return next;
}

std::shared_ptr<const ListsStorage> ListsInMemory(base::Bytes bytes) {
  return std::make_shared<MemoryLists>(std::move(bytes));
}

}  // namespace weighmaster::engine
