#include "server/rollout/simulation.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "policy/base/limits.h"
#include "policy/engine/policy.h"
#include "proto/wire/convert.h"
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
  static Result<PublishedExceptions> Read(store::Queries& queries) {
    PublishedExceptions exceptions;
    store::PageQuery page;
    page.size = base::limits::kMaxPageSize;
    do {
      WM_ASSIGN_OR_RETURN(auto sets, queries.ListExceptionSets(page));
      for (store::ExceptionSetRecord& record : sets.rows) exceptions.Take(std::move(record.set));
      page.after = std::move(sets.next);
    } while (page.after.has_value());
    for (auto& [endpoint, own] : exceptions.own_) {
      own.insert(own.end(), exceptions.fleet_.begin(), exceptions.fleet_.end());
    }
    return exceptions;
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

class Comparison {
 public:
  Comparison(std::shared_ptr<const Policy> policy, PublishedExceptions exceptions,
             std::size_t samples, base::WallTime now)
      : policy_(std::move(policy)),
        exceptions_(std::move(exceptions)),
        samples_(samples),
        now_(now) {}

  void Add(const store::PresentSighting& present) {
    model::Verdict verdict =
        policy_->Judge(present.sighting, now_, exceptions_.Of(present.endpoint));
    ++simulation_.sightings;
    const std::string_view rule_now = present.judged ? present.judged->rule : "";
    if (present.judged) ++Rule(rule_now).now;
    ++Rule(verdict.rule).then;
    std::optional<model::Outcome> from;
    if (present.judged) from = present.judged->outcome;
    SimulatedTransition& transition = transitions_[{from, verdict.outcome}];
    ++transition.sightings;
    if (from == verdict.outcome) return;
    ++simulation_.changed;
    changed_.insert(present.endpoint);
    if (transition.first.size() == samples_) return;
    transition.first.push_back({present.endpoint, std::string(present.hostname),
                                present.sighting.path, present.sighting.digest.sha256,
                                std::string(rule_now), std::move(verdict)});
  }

  Simulation End() && {
    simulation_.endpoints_changed = changed_.size();
    for (auto& [outcomes, transition] : transitions_) {
      std::tie(transition.from, transition.to) = outcomes;
      simulation_.transitions.push_back(std::move(transition));
    }
    for (auto& [name, rule] : rules_) {
      rule.rule = name;
      simulation_.rules.push_back(std::move(rule));
    }
    return std::move(simulation_);
  }

 private:
  SimulatedRule& Rule(std::string_view name) {
    const auto known = rules_.find(name);
    return known != rules_.end() ? known->second : rules_[std::string(name)];
  }

  const std::shared_ptr<const Policy> policy_;
  const PublishedExceptions exceptions_;
  const std::size_t samples_;
  const base::WallTime now_;

  Simulation simulation_;
  std::map<std::pair<std::optional<model::Outcome>, model::Outcome>, SimulatedTransition>
      transitions_;
  std::map<std::string, SimulatedRule, std::less<>> rules_;
  std::unordered_set<model::Id, IdHash> changed_;
};

}  // namespace

Result<Simulation> Simulate(store::Queries& queries, std::vector<store::BundlePart> parts,
                            std::size_t samples, base::WallTime now,
                            const std::function<base::Status()>& may_go_on) {
  WM_ASSIGN_OR_RETURN(auto policy, MakePolicy(queries, std::move(parts)));
  WM_ASSIGN_OR_RETURN(auto exceptions, PublishedExceptions::Read(queries));
  Comparison comparison(std::move(policy), std::move(exceptions), samples, now);
  std::uint64_t visited = 0;
  WM_RETURN_IF_ERROR(queries.VisitPresent([&](const store::PresentSighting& present) {
    comparison.Add(present);
    const bool look = ++visited % base::limits::kSightingsBetweenLooks == 0;
    return look ? may_go_on() : base::Status();
  }));
  Simulation simulation = std::move(comparison).End();
  WM_ASSIGN_OR_RETURN(simulation.coverage, queries.Coverage());
  return simulation;
}

}  // namespace weighmaster::server::rollout
