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
  return rollout::Simulate(queries, std::move(parts), samples, now, [] { return base::Status(); });
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
                         std::vector<model::Exception> exceptions) {
    store::ExceptionSetRecord record;
    record.set.version = 1;
    if (endpoint) record.set.endpoint = tests::TestId(*endpoint);
    record.set.exceptions = std::move(exceptions);
    record.document.bytes = wire::SerialiseExceptions(record.set);
    ASSERT_TRUE(world_.sqlite_->PublishExceptions(record).has_value());
  }

  std::vector<store::SightingRow> Rows() {
    store::SightingQuery query;
    query.page.size = base::limits::kMaxPageSize;
    auto page = world_.queries_->ListSightings(query);
    EXPECT_TRUE(page.has_value() && !page->next.has_value());
    return std::move(page->rows);
  }

  tests::ServerWorld world_;
  std::map<std::uint8_t, std::unique_ptr<tests::EndpointScript>> scripts_;
};

// What the engine says of each row, one by one.
struct Expected {
  std::map<std::pair<std::optional<Outcome>, Outcome>, std::uint64_t> transitions;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> rules;
  std::map<std::pair<std::string, std::string>, model::Verdict> changes;  // by endpoint and path
  std::set<model::Id> endpoints;
};

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
  EXPECT_EQ(simulation.endpoints_changed, expected.endpoints.size());
  EXPECT_EQ(simulation.rules.size(), expected.rules.size());
  for (const SimulatedRule& rule : simulation.rules) {
    const auto known = expected.rules.find(rule.rule);
    ASSERT_TRUE(known != expected.rules.end()) << rule.rule;
    EXPECT_EQ(rule.now, known->second.first) << rule.rule;
    EXPECT_EQ(rule.then, known->second.second) << rule.rule;
  }
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
  ASSERT_TRUE(world_.sqlite_->Revoke(revoked, "lost", world_.loop_.Now()).has_value());
  const auto of_fleet = ManyExceptions(random);
  const auto of_two = ManyExceptions(random);
  PublishExceptions(std::nullopt, of_fleet);
  PublishExceptions(2, of_two);
  std::vector<model::Exception> both = of_two;
  both.insert(both.end(), of_fleet.begin(), of_fleet.end());

  const auto rows = Rows();
  std::uint64_t changes = 0;
  std::uint64_t excepted = 0;
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
    std::uint64_t judged = 0;
    for (const store::SightingRow& row : rows) {
      if (row.endpoint == revoked) continue;
      ++judged;
      const auto policy =
          engine::Policy::Make(0, *rules, engine::ListsInMemory(model::EncodeDigestLists(lists)),
                               row.endpoint == tests::TestId(2) ? both : of_fleet);
      ASSERT_TRUE(policy.has_value());
      const model::Verdict verdict = (*policy)->Judge(row.sighting, now);
      std::optional<Outcome> from;
      if (row.verdict) from = row.verdict->outcome;
      ++expected.transitions[{from, verdict.outcome}];
      if (row.verdict) ++expected.rules[row.verdict->rule].first;
      ++expected.rules[verdict.rule].second;
      excepted += verdict.step == model::JudgementStep::kException ? 1 : 0;
      if (from == verdict.outcome) continue;
      expected.changes[{row.endpoint.ToHex(), row.sighting.path.bytes}] = verdict;
      expected.endpoints.insert(row.endpoint);
    }
    EXPECT_EQ(simulation->sightings, judged);
    Expect(*simulation, expected);
    if (HasFailure()) FAIL() << "policy " << seed;
    changes += simulation->changed;
  }
  EXPECT_GT(changes, 1'000U);
  EXPECT_GT(excepted, 100U);
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
  const auto ended = rollout::Simulate(*world_.queries_, {RulesPart(Rules(Outcome::kAllow))}, 2,
                                       world_.loop_.Now(), [&asked] {
                                         ++asked;
                                         return base::Status(base::Unavailable("stop"));
                                       });
  ASSERT_FALSE(ended.has_value());
  EXPECT_EQ(ended.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(world_.queries_->Coverage().has_value()) << "the reader is free again";
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
