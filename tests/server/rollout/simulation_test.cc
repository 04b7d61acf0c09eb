#include "server/rollout/simulation.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/limits.h"
#include "policy/engine/policy.h"
#include "proto/wire/convert.h"
#include "proto/wire/exceptions.h"
#include "tests/server/server_world.h"
#include "tests/support/random_policies.h"

namespace weighmaster::server::rollout {
namespace {

using base::ErrorCode;
using model::Outcome;
using store::BundlePart;

model::RuleSet Rules(Outcome outcome) {
  model::RuleSet rules;
  rules.policy_name = "p";
  rules.default_outcome = outcome;
  return rules;
}

BundlePart RulesPart(const model::RuleSet& rules) {
  return {tests::PartOf(wire::PartKind::kRules, wire::SerialiseRules(rules), {}),
          wire::SerialiseRules(rules)};
}

BundlePart ListsPart(const model::DigestLists& lists) {
  const base::Bytes encoded = model::EncodeDigestLists(lists);
  const std::string content(base::AsText(encoded));
  return {tests::PartOf(wire::PartKind::kLists, content, {}), content};
}

std::vector<model::Exception> ManyExceptions(tests::RandomPolicies& random) {
  std::vector<model::Exception> exceptions;
  while (exceptions.size() < 20) exceptions = random.Exceptions();
  return exceptions;
}

base::Result<Simulation> Simulate(store::Queries& queries, std::vector<BundlePart> parts,
                                  std::size_t samples, base::WallTime now) {
  return rollout::Simulate(queries, store::Scope::WholeFleet(), std::move(parts), samples, now,
                           [] { return base::Status(); });
}

// Endpoints that have told what they have.
class SimulationTest : public testing::Test {
 protected:
  void Tell(std::uint8_t endpoint, std::vector<model::EventBody> events) {
    auto [script, is_new] = scripts_.try_emplace(endpoint, nullptr);
    if (is_new) {
      world_.Enrol(endpoint);
      script->second = std::make_unique<tests::EndpointScript>(tests::TestKey(10 + endpoint),
                                                               tests::TestId(100 + endpoint));
      Submit(endpoint, script->second->Start());
    }
    // A batch holds events of one class.
    for (model::EventBody& event : events) {
      Submit(endpoint, script->second->Seal({std::move(event)}));
    }
  }
  void Submit(std::uint8_t endpoint, wire::SealedBatch batch) {
    bool stored = false;
    ASSERT_TRUE(world_.ingest_.Submit(
        {tests::TestId(endpoint), tests::TestKey(10 + endpoint).public_key(), {}}, std::move(batch),
        [&](const ingest::Outcome& outcome) {
          stored = outcome.result.kind == store::BatchOutcome::Kind::kStored;
        }));
    world_.loop_.RunReady();
    ASSERT_TRUE(stored);
  }

  void PublishExceptions(std::optional<std::uint8_t> endpoint,
                         std::vector<model::Exception> exceptions, base::WallTime issued = {}) {
    store::ExceptionSetRecord record;
    record.set.issued = issued;
    record.set.version = 1;
    if (endpoint) record.set.endpoint = tests::TestId(*endpoint);
    record.set.exceptions = std::move(exceptions);
    record.document.bytes = wire::SerialiseExceptions(record.set);
    ASSERT_TRUE(world_.sqlite_->PublishExceptions(store::Scope::WholeFleet(), record).has_value());
  }

  std::vector<store::SightingRow> Rows() {
    store::SightingQuery query;
    query.page.size = base::limits::kMaxPageSize;
    auto page = world_.queries_->ListSightings(store::Scope::WholeFleet(), query);
    EXPECT_TRUE(page.has_value() && !page->next.has_value());
    return std::move(page->rows);
  }

  tests::ServerWorld world_;
  std::map<std::uint8_t, std::unique_ptr<tests::EndpointScript>> scripts_;
};

// What the engine says of each row, one by one.
struct Expected {
  std::map<std::pair<std::optional<Outcome>, Outcome>, std::uint64_t> transitions;
  std::map<std::pair<model::Mode, model::Mode>, std::uint64_t> modes;
  std::map<std::pair<model::Severity, model::Severity>, std::uint64_t> severities;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> rules;
  std::map<std::string, std::uint64_t> audits;
  std::map<std::pair<std::string, std::string>, model::Verdict> changes;  // by endpoint and path
  std::set<model::Id> endpoints;
};

// `counts` may also have those that stay.
template <typename Part>
void ExpectShifts(const std::vector<SimulatedShift<Part>>& shifts, std::uint64_t sum,
                  std::map<std::pair<Part, Part>, std::uint64_t> counts) {
  std::erase_if(counts, [](const auto& count) { return count.first.first == count.first.second; });
  std::uint64_t sightings = 0;
  for (const SimulatedShift<Part>& shift : shifts) {
    EXPECT_EQ(shift.sightings, (counts[{shift.from, shift.to}]));
    EXPECT_EQ(shift.first.size(), shift.sightings);
    sightings += shift.sightings;
  }
  EXPECT_EQ(shifts.size(), counts.size());
  EXPECT_EQ(sightings, sum);
}

void ExpectCounts(const Simulation& simulation, const Expected& expected) {
  EXPECT_EQ(simulation.endpoints_changed, expected.endpoints.size());
  ExpectShifts(simulation.modes, simulation.changed_mode, expected.modes);
  ExpectShifts(simulation.severities, simulation.changed_severity, expected.severities);
  EXPECT_EQ(simulation.rules.size(), expected.rules.size());
  for (const SimulatedRule& rule : simulation.rules) {
    const auto known = expected.rules.find(rule.rule);
    ASSERT_TRUE(known != expected.rules.end()) << rule.rule;
    EXPECT_EQ(rule.now, known->second.first) << rule.rule;
    EXPECT_EQ(rule.then, known->second.second) << rule.rule;
  }
  EXPECT_EQ(simulation.audits.size(), expected.audits.size());
  for (const SimulatedAudit& audit : simulation.audits) {
    const auto known = expected.audits.find(audit.rule);
    ASSERT_TRUE(known != expected.audits.end()) << audit.rule;
    EXPECT_EQ(audit.sightings, known->second) << audit.rule;
  }
}

void Expect(const Simulation& simulation, const Expected& expected) {
  std::uint64_t changed = 0;
  std::size_t transitions = 0;
  for (const SimulatedTransition& transition : simulation.transitions) {
    ++transitions;
    const auto known = expected.transitions.find({transition.from, transition.to});
    ASSERT_TRUE(known != expected.transitions.end());
    EXPECT_EQ(transition.sightings, known->second);
    if (transition.from == transition.to) {
      EXPECT_TRUE(transition.first.empty());
      continue;
    }
    changed += transition.sightings;
    EXPECT_EQ(transition.first.size(), transition.sightings);
    for (const SimulatedChange& change : transition.first) {
      const auto row = expected.changes.find({change.endpoint.ToHex(), change.path.bytes});
      ASSERT_TRUE(row != expected.changes.end());
      EXPECT_EQ(change.verdict, row->second);
      EXPECT_EQ(change.verdict.outcome, transition.to);
    }
  }
  EXPECT_EQ(transitions, expected.transitions.size());
  EXPECT_EQ(simulation.changed, changed);
  EXPECT_EQ(simulation.changed, expected.changes.size());
  ExpectCounts(simulation, expected);
}

// One row more, of which the engine says `verdict`.
void Add(const store::SightingRow& row, const model::Verdict& verdict, Expected& expected) {
  std::optional<Outcome> from;
  if (row.verdict) from = row.verdict->outcome;
  ++expected.transitions[{from, verdict.outcome}];
  ++expected.rules[verdict.rule].second;
  for (const std::string& rule : verdict.audits) ++expected.audits[rule];
  bool changed = from != verdict.outcome;
  if (changed) expected.changes[{row.endpoint.ToHex(), row.sighting.path.bytes}] = verdict;
  if (row.verdict) {
    ++expected.rules[row.verdict->rule].first;
    ++expected.modes[{row.verdict->mode, verdict.mode}];
    ++expected.severities[{row.verdict->severity, verdict.severity}];
    changed =
        changed || row.verdict->mode != verdict.mode || row.verdict->severity != verdict.severity;
  }
  if (changed) expected.endpoints.insert(row.endpoint);
}

TEST_F(SimulationTest, SaysOfEveryRowWhatTheEngineSays) {
  constexpr std::uint8_t kEndpoints = 4;  // the last is revoked
  tests::RandomPolicies random(7);
  for (std::uint8_t endpoint = 1; endpoint <= kEndpoints; ++endpoint) {
    std::vector<model::EventBody> events;
    for (int i = 0; i < 60; ++i) {
      model::Sighting sighting = random.Sighting();
      sighting.path.bytes += std::to_string(i);
      if (sighting.digest.state == model::DigestState::kVerified) {
        sighting.digest.verified_at = tests::kTestEpoch;
      }
      const model::Path path = sighting.path;
      const auto digest = sighting.digest.sha256;
      events.emplace_back(model::SightingAppeared{std::move(sighting)});
      if (i % 3 > 0) {
        events.emplace_back(model::SightingJudged{
            path, digest, tests::TestVerdict(static_cast<Outcome>(1 + i % 3))});
      }
      if (i % 7 == 0) events.emplace_back(model::SightingGone{path, model::GoneReason::kDeleted});
    }
    Tell(endpoint, std::move(events));
  }
  const model::Id revoked = tests::TestId(kEndpoints);
  ASSERT_TRUE(
      world_.sqlite_->Revoke(store::Scope::WholeFleet(), revoked, "lost", world_.loop_.Now())
          .has_value());
  const auto of_fleet = ManyExceptions(random);
  const auto of_two = ManyExceptions(random);
  PublishExceptions(std::nullopt, of_fleet);
  PublishExceptions(2, of_two);
  std::vector<model::Exception> both = of_two;
  both.insert(both.end(), of_fleet.begin(), of_fleet.end());

  const auto rows = Rows();
  std::uint64_t changes = 0;
  std::uint64_t excepted = 0;
  std::uint64_t audited = 0;
  for (int seed = 0; seed < 300; ++seed) {
    // As they travel: the first microsecond of 1970 is no expiry on the wire.
    const auto rules = wire::ParseRules(wire::SerialiseRules(random.Rules(true)));
    ASSERT_TRUE(rules.has_value());
    const model::DigestLists lists = random.Lists();
    const base::WallTime now = random.AnyTime();
    const auto simulation =
        Simulate(*world_.queries_, {RulesPart(*rules), ListsPart(lists)}, 1'000, now);
    ASSERT_TRUE(simulation.has_value()) << simulation.error().ToString();
    Expected expected;
    for (const model::Rule& rule : rules->rules) {
      if (rule.audit) expected.audits[rule.id];
    }
    std::uint64_t judged = 0;
    for (const store::SightingRow& row : rows) {
      if (row.endpoint == revoked) continue;
      ++judged;
      const auto policy =
          engine::Policy::Make(0, *rules, engine::ListsInMemory(model::EncodeDigestLists(lists)),
                               row.endpoint == tests::TestId(2) ? both : of_fleet);
      ASSERT_TRUE(policy.has_value());
      const model::Verdict verdict = (*policy)->Judge(row.sighting, now);
      Add(row, verdict, expected);
      excepted += verdict.step == model::JudgementStep::kException ? 1 : 0;
      audited += verdict.audits.size();
    }
    EXPECT_EQ(simulation->sightings, judged);
    Expect(*simulation, expected);
    if (HasFailure()) FAIL() << "policy " << seed;
    changes += simulation->changed;
  }
  EXPECT_GT(changes, 1'000U);
  EXPECT_GT(excepted, 100U);
  EXPECT_GT(audited, 100U);
}

TEST_F(SimulationTest, TellsOfAnotherModeAndSeverityWhereTheOutcomeStays) {
  for (int i = 0; i < 3; ++i) {
    const std::string path = "/m/" + std::to_string(i);
    Tell(1, {model::SightingAppeared{tests::TestSighting(path, i)},
             model::SightingJudged{{path}, std::nullopt, tests::TestVerdict(Outcome::kWarn)}});
  }
  model::RuleSet rules = Rules(Outcome::kWarn);
  rules.mode = model::Mode::kEnforce;
  rules.default_severity = model::Severity::kCritical;
  const auto simulation = Simulate(*world_.queries_, {RulesPart(rules)}, 2, world_.loop_.Now());
  ASSERT_TRUE(simulation.has_value());
  EXPECT_EQ(simulation->changed, 0U);
  EXPECT_EQ(simulation->changed_mode, 3U);
  EXPECT_EQ(simulation->changed_severity, 3U);
  EXPECT_EQ(simulation->endpoints_changed, 1U);
  ASSERT_EQ(simulation->modes.size(), 1U);
  EXPECT_EQ(simulation->modes[0].from, model::Mode::kObserve);
  EXPECT_EQ(simulation->modes[0].to, model::Mode::kEnforce);
  ASSERT_EQ(simulation->modes[0].first.size(), 2U);
  EXPECT_EQ(simulation->modes[0].first[0].path.bytes, "/m/0");
  EXPECT_EQ(simulation->modes[0].first[0].verdict.mode, model::Mode::kEnforce);
  ASSERT_EQ(simulation->severities.size(), 1U);
  EXPECT_EQ(simulation->severities[0].from, model::Severity::kMedium);
  EXPECT_EQ(simulation->severities[0].to, model::Severity::kCritical);
}

model::Rule LicenceRule(std::string id, std::string licence) {
  model::Rule rule;
  rule.id = std::move(id);
  rule.when.kind = model::Condition::Kind::kTest;
  rule.when.test = {"license", model::Operator::kEquals, {std::move(licence)}, 0};
  return rule;
}

TEST_F(SimulationTest, HasARowForEachAuditRuleAlsoForOneThatHitsNothing) {
  model::Sighting sighting = tests::TestSighting("/m/1", 1);
  sighting.facts.license = "mit";
  Tell(1, {model::SightingAppeared{sighting}});
  model::RuleSet rules = Rules(Outcome::kAllow);
  rules.rules = {LicenceRule("watch-nc", "cc-by-nc-4.0"), LicenceRule("watch-mit", "mit"),
                 LicenceRule("decides", "mit")};
  rules.rules[0].audit = rules.rules[1].audit = true;
  const auto simulation = Simulate(*world_.queries_, {RulesPart(rules)}, 2, world_.loop_.Now());
  ASSERT_TRUE(simulation.has_value());
  ASSERT_EQ(simulation->audits.size(), 2U);
  EXPECT_EQ(simulation->audits[0].rule, "watch-nc");
  EXPECT_EQ(simulation->audits[0].sightings, 0U);
  EXPECT_EQ(simulation->audits[1].rule, "watch-mit");
  EXPECT_EQ(simulation->audits[1].sightings, 1U);
}

TEST_F(SimulationTest, SaysWhichFieldsThePoliciesInForceKeepFromTheServer) {
  model::RuleSet in_force = Rules(Outcome::kAllow);
  in_force.settings.withheld = {model::Withheld::kLicense, model::Withheld::kOwner};
  ASSERT_TRUE(
      world_.Publish(world_.Policy(1, 0, wire::SerialiseRules(in_force), wire::PartKind::kRules))
          .has_value());
  ASSERT_TRUE(world_
                  .Publish(world_.Policy(2, 0, wire::SerialiseRules(Rules(Outcome::kAllow)),
                                         wire::PartKind::kRules))
                  .has_value());
  const std::pair<std::uint8_t, std::uint64_t> applied_versions[] = {
      {1, 1}, {2, 1}, {3, 2}, {4, 1}};
  for (const auto& [endpoint, version] : applied_versions) {
    model::PolicyApplied applied;
    applied.version = version;
    Tell(endpoint, {applied});
  }
  ASSERT_TRUE(world_.sqlite_
                  ->Revoke(store::Scope::WholeFleet(), tests::TestId(4), "lost", world_.loop_.Now())
                  .has_value());
  const auto withheld = [&](const model::RuleSet& rules) {
    const auto simulation = Simulate(*world_.queries_, {RulesPart(rules)}, 2, world_.loop_.Now());
    EXPECT_TRUE(simulation.has_value()) << simulation.error().ToString();
    std::map<model::Withheld, std::uint64_t> fields;
    for (const SimulatedWithheld& row : simulation->withheld) fields[row.field] = row.endpoints;
    return fields;
  };
  using Fields = std::map<model::Withheld, std::uint64_t>;
  model::RuleSet rules = Rules(Outcome::kAllow);
  EXPECT_EQ(withheld(rules), Fields()) << "it asks for neither";
  rules.rules = {LicenceRule("a", "mit")};
  EXPECT_EQ(withheld(rules), (Fields{{model::Withheld::kLicense, 2}}));
  model::Condition nested;
  nested.kind = model::Condition::Kind::kNot;
  nested.conditions = {std::move(rules.rules[0].when)};
  rules.rules[0].when = nested;
  EXPECT_EQ(withheld(rules), (Fields{{model::Withheld::kLicense, 2}})) << "however deep";
  rules.rules[0].expires = world_.loop_.Now();
  EXPECT_EQ(withheld(rules), Fields()) << "it is not asked any more";
  model::Exception of_ada;
  of_ada.user = "ada";
  of_ada.overrides = "default";
  of_ada.reason = "a test";
  of_ada.expires = world_.loop_.Now() + std::chrono::hours(1);
  PublishExceptions(1, {of_ada}, world_.loop_.Now());
  EXPECT_EQ(withheld(rules), (Fields{{model::Withheld::kOwner, 2}}));
}

TEST_F(SimulationTest, ShowsAsManyChangesAsWereAskedFor) {
  for (int i = 0; i < 5; ++i) {
    Tell(1, {model::SightingAppeared{tests::TestSighting("/m/" + std::to_string(i), i)}});
  }
  const auto simulation =
      Simulate(*world_.queries_, {RulesPart(Rules(Outcome::kAllow))}, 2, world_.loop_.Now());
  ASSERT_TRUE(simulation.has_value());
  EXPECT_EQ(simulation->changed, 5U);
  ASSERT_EQ(simulation->transitions.size(), 1U);
  EXPECT_EQ(simulation->transitions[0].from, std::nullopt);
  EXPECT_EQ(simulation->transitions[0].first.size(), 2U);
  EXPECT_EQ(simulation->coverage.endpoints, 1U);
}

TEST_F(SimulationTest, EndsWhenItMayNotGoOn) {
  std::vector<model::EventBody> events;
  constexpr auto kSightings = static_cast<int>(base::limits::kSightingsBetweenLooks);
  for (int i = 0; i < kSightings; ++i) {
    events.emplace_back(model::SightingAppeared{tests::TestSighting("/m/" + std::to_string(i), 1)});
  }
  Tell(1, std::move(events));
  int asked = 0;
  const auto ended =
      rollout::Simulate(*world_.queries_, store::Scope::WholeFleet(),
                        {RulesPart(Rules(Outcome::kAllow))}, 2, world_.loop_.Now(), [&asked] {
                          ++asked;
                          return base::Status(base::Unavailable("stop"));
                        });
  ASSERT_FALSE(ended.has_value());
  EXPECT_EQ(ended.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(world_.queries_->Coverage(store::Scope::WholeFleet()).has_value())
      << "the reader is free again";
}

TEST_F(SimulationTest, TakesThePartsThatTheStoreHas) {
  const model::RuleSet rules = Rules(Outcome::kDeny);
  ASSERT_TRUE(
      world_.Publish(world_.Policy(1, 0, wire::SerialiseRules(rules), wire::PartKind::kRules))
          .has_value());
  Tell(1, {model::SightingAppeared{tests::TestSighting("/m/1", 1)}});
  BundlePart stored = RulesPart(rules);
  stored.content.clear();
  const auto simulation = Simulate(*world_.queries_, {stored}, 2, world_.loop_.Now());
  ASSERT_TRUE(simulation.has_value()) << simulation.error().ToString();
  EXPECT_EQ(simulation->transitions.at(0).to, Outcome::kDeny);
  stored.reference.sha256 = tests::TestDigest(3);
  EXPECT_EQ(Simulate(*world_.queries_, {stored}, 2, {}).error().code(), ErrorCode::kNotFound);
}

TEST_F(SimulationTest, RefusesWhatIsNoPolicy) {
  const BundlePart rules = RulesPart(Rules(Outcome::kAllow));
  BundlePart broken = rules;
  broken.content = "\xff\xff";
  BundlePart foreign = rules;
  foreign.reference.kind = wire::PartKind::kContent;
  const std::vector<std::vector<BundlePart>> bad = {
      {}, {ListsPart({})}, {rules, rules}, {broken}, {rules, foreign}};
  for (const auto& parts : bad) {
    EXPECT_EQ(Simulate(*world_.queries_, parts, 2, {}).error().code(), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace weighmaster::server::rollout
