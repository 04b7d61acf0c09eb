#include "server/rollout/simulation.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "policy/base/limits.h"
#include "policy/engine/policy.h"
#include "proto/wire/convert.h"
#include "proto/wire/trust.h"
#include "server/rollout/whole_part.h"

namespace weighmaster::server::rollout {
namespace {

using base::Result;
using engine::Policy;

struct IdHash {
  std::size_t operator()(const model::Id& id) const {
    return std::hash<std::string_view>()(base::AsText(id.view()));
  }
};

// The exceptions that endpoints have: the fleet's, or these and their own.
class PublishedExceptions {
 public:
  static Result<PublishedExceptions> Read(store::Queries& queries, const store::Scope& scope) {
    PublishedExceptions exceptions;
    WM_ASSIGN_OR_RETURN(auto sets, queries.ExceptionSets(scope));
    for (model::ExceptionSet& set : sets) exceptions.Take(std::move(set));
    for (auto& [endpoint, own] : exceptions.own_) {
      own.insert(own.end(), exceptions.fleet_.begin(), exceptions.fleet_.end());
    }
    return exceptions;
  }

  // Whether one that has not ended is for a user's files.
  bool AskForOwners(base::WallTime now) const {
    const auto asks = [now](const model::Exception& exception) {
      return !exception.user.empty() && exception.expires > now;
    };
    return std::ranges::any_of(fleet_, asks) || std::ranges::any_of(own_, [&](const auto& own) {
             return std::ranges::any_of(own.second, asks);
           });
  }

  const std::vector<model::Exception>& Of(const model::Id& endpoint) const {
    if (own_.empty()) return fleet_;
    const auto own = own_.find(endpoint);
    return own == own_.end() ? fleet_ : own->second;
  }

 private:
  void Take(model::ExceptionSet set) {
    (set.endpoint.has_value() ? own_[*set.endpoint] : fleet_) = std::move(set.exceptions);
  }

  std::vector<model::Exception> fleet_;
  std::unordered_map<model::Id, std::vector<model::Exception>, IdHash> own_;
};

Result<std::shared_ptr<const Policy>> MakePolicy(store::Queries& queries,
                                                 std::vector<store::BundlePart> parts) {
  std::optional<model::RuleSet> rules;
  std::shared_ptr<const engine::ListsStorage> lists;
  for (store::BundlePart& part : parts) {
    if (part.content.empty()) {
      WM_ASSIGN_OR_RETURN(part.content, ReadWholePart(queries, part.reference.sha256));
    }
    if (part.reference.kind == wire::PartKind::kRules && !rules.has_value()) {
      WM_ASSIGN_OR_RETURN(rules, wire::ParseRules(part.content));
    } else if (part.reference.kind == wire::PartKind::kLists && lists == nullptr) {
      const base::ByteView bytes = base::AsBytes(part.content);
      lists = engine::ListsInMemory(base::Bytes(bytes.begin(), bytes.end()));
    } else {
      return base::InvalidArgument("a part has an unknown kind, or that of another part");
    }
  }
  if (!rules.has_value()) return base::InvalidArgument("there is no part with rules");
  return Policy::Make(0, *std::move(rules), std::move(lists));
}

// The fields that a condition tests, as far as a policy can withhold them: both have one name.
void AddWithholdable(const model::Condition& condition, model::WithheldFields& fields) {
  if (condition.kind == model::Condition::Kind::kTest) {
    const auto field = model::ParseWithheld(condition.test.field);
    if (field.has_value()) fields.insert(*field);
  }
  for (const model::Condition& part : condition.conditions) AddWithholdable(part, fields);
}

// What the published policy of this version withholds from the server.
Result<model::WithheldFields> WithheldBy(store::Queries& queries, const store::Scope& scope,
                                         std::uint64_t version) {
  WM_ASSIGN_OR_RETURN(const store::StoredBundle bundle, queries.FindBundle(scope, version));
  WM_ASSIGN_OR_RETURN(const wire::BundleManifest manifest,
                      wire::ParseManifest(bundle.document.bytes));
  for (const wire::PartReference& part : manifest.parts) {
    if (part.kind != wire::PartKind::kRules) continue;
    WM_ASSIGN_OR_RETURN(const std::string content, ReadWholePart(queries, part.sha256));
    WM_ASSIGN_OR_RETURN(model::RuleSet rules, wire::ParseRules(content));
    return std::move(rules.settings.withheld);
  }
  return model::WithheldFields();
}

// Of these fields those that the policies in force withhold, and on how many endpoints.
Result<std::vector<SimulatedWithheld>> WithheldOf(store::Queries& queries,
                                                  const store::Scope& scope,
                                                  const model::WithheldFields& fields) {
  std::map<model::Withheld, std::uint64_t> endpoints;
  store::PageQuery page;
  page.size = base::limits::kMaxPageSize;
  do {
    WM_ASSIGN_OR_RETURN(auto policies, queries.ListPolicies(scope, page));
    for (const store::PolicyRow& policy : policies.rows) {
      if (policy.endpoints_in_force == 0) continue;
      WM_ASSIGN_OR_RETURN(const auto withheld, WithheldBy(queries, scope, policy.version));
      for (const model::Withheld field : withheld) {
        if (fields.contains(field)) endpoints[field] += policy.endpoints_in_force;
      }
    }
    page.after = std::move(policies.next);
  } while (page.after.has_value());
  std::vector<SimulatedWithheld> found;
  for (const auto& [field, count] : endpoints) found.push_back({field, count});
  return found;
}

class Comparison {
 public:
  Comparison(const Policy& policy, const PublishedExceptions& exceptions, std::size_t samples,
             base::WallTime now)
      : policy_(policy), exceptions_(exceptions), samples_(samples), now_(now) {
    for (const model::Rule& rule : policy.rules().rules) {
      if (!rule.audit) continue;
      audits_.emplace(rule.id, simulation_.audits.size());
      simulation_.audits.push_back({rule.id, 0});
    }
  }

  void Add(const store::PresentSighting& present) {
    const model::Verdict verdict =
        policy_.Judge(present.sighting, now_, exceptions_.Of(present.endpoint));
    ++simulation_.sightings;
    if (present.judged) ++Rule(present.judged->rule).now;
    ++Rule(verdict.rule).then;
    for (const std::string& rule : verdict.audits) {
      ++simulation_.audits[audits_.at(rule)].sightings;
    }
    bool changed = CompareOutcome(present, verdict);
    if (const auto& now = present.judged) {
      changed |=
          Compare(modes_[{now->mode, verdict.mode}], now->mode != verdict.mode, present, verdict);
      changed |= Compare(severities_[{now->severity, verdict.severity}],
                         now->severity != verdict.severity, present, verdict);
    }
    if (changed) changed_.insert(present.endpoint);
  }

  Simulation End() && {
    simulation_.endpoints_changed = changed_.size();
    for (auto& [outcomes, transition] : transitions_) {
      std::tie(transition.from, transition.to) = outcomes;
      simulation_.transitions.push_back(std::move(transition));
    }
    simulation_.changed_mode = TakeShifts(modes_, simulation_.modes);
    simulation_.changed_severity = TakeShifts(severities_, simulation_.severities);
    for (auto& [name, rule] : rules_) {
      rule.rule = name;
      simulation_.rules.push_back(std::move(rule));
    }
    return std::move(simulation_);
  }

 private:
  template <typename Part>
  using Shifts = std::map<std::pair<Part, Part>, SimulatedShift<Part>>;

  SimulatedRule& Rule(std::string_view name) {
    const auto known = rules_.find(name);
    return known != rules_.end() ? known->second : rules_[std::string(name)];
  }

  bool CompareOutcome(const store::PresentSighting& present, const model::Verdict& verdict) {
    std::optional<model::Outcome> from;
    if (present.judged) from = present.judged->outcome;
    const bool differs = from != verdict.outcome;
    simulation_.changed += differs ? 1 : 0;
    return Compare(transitions_[{from, verdict.outcome}], differs, present, verdict);
  }

  // Counts one more, and shows it while there is room. Comes back with `differs`.
  template <typename Group>
  bool Compare(Group& group, bool differs, const store::PresentSighting& present,
               const model::Verdict& verdict) {
    ++group.sightings;
    if (!differs || group.first.size() == samples_) return differs;
    group.first.push_back({present.endpoint, std::string(present.hostname), present.sighting.path,
                           present.sighting.digest.sha256,
                           std::string(present.judged ? present.judged->rule : ""), verdict});
    return differs;
  }

  // Those that are changes, and how many models they are.
  template <typename Part>
  static std::uint64_t TakeShifts(Shifts<Part>& shifts, std::vector<SimulatedShift<Part>>& out) {
    std::uint64_t sightings = 0;
    for (auto& [parts, shift] : shifts) {
      std::tie(shift.from, shift.to) = parts;
      if (shift.from == shift.to) continue;
      sightings += shift.sightings;
      out.push_back(std::move(shift));
    }
    return sightings;
  }

  const Policy& policy_;
  const PublishedExceptions& exceptions_;
  const std::size_t samples_;
  const base::WallTime now_;

  Simulation simulation_;
  std::map<std::pair<std::optional<model::Outcome>, model::Outcome>, SimulatedTransition>
      transitions_;
  Shifts<model::Mode> modes_;
  Shifts<model::Severity> severities_;
  std::map<std::string, SimulatedRule, std::less<>> rules_;
  std::unordered_map<std::string_view, std::size_t> audits_;  // in simulation_, by their ids
  std::unordered_set<model::Id, IdHash> changed_;
};

// What the judgement rests on that a policy may withhold.
model::WithheldFields AskedFor(const Policy& policy, const PublishedExceptions& exceptions,
                               base::WallTime now) {
  model::WithheldFields fields;
  for (const model::Rule& rule : policy.rules().rules) {
    const bool expired = rule.expires.has_value() && *rule.expires <= now;
    if (!expired) AddWithholdable(rule.when, fields);
  }
  if (exceptions.AskForOwners(now)) fields.insert(model::Withheld::kOwner);
  return fields;
}

}  // namespace

Result<Simulation> Simulate(store::Queries& queries, const store::Scope& scope,
                            std::vector<store::BundlePart> parts, std::size_t samples,
                            base::WallTime now, const std::function<base::Status()>& may_go_on) {
  WM_ASSIGN_OR_RETURN(const auto policy, MakePolicy(queries, std::move(parts)));
  WM_ASSIGN_OR_RETURN(const auto exceptions, PublishedExceptions::Read(queries, scope));
  Comparison comparison(*policy, exceptions, samples, now);
  std::uint64_t visited = 0;
  WM_RETURN_IF_ERROR(queries.VisitPresent(scope, [&](const store::PresentSighting& present) {
    comparison.Add(present);
    const bool look = ++visited % base::limits::kSightingsBetweenLooks == 0;
    return look ? may_go_on() : base::Status();
  }));
  Simulation simulation = std::move(comparison).End();
  WM_ASSIGN_OR_RETURN(simulation.coverage, queries.Coverage(scope));
  WM_ASSIGN_OR_RETURN(simulation.withheld,
                      WithheldOf(queries, scope, AskedFor(*policy, exceptions, now)));
  return simulation;
}

}  // namespace weighmaster::server::rollout
