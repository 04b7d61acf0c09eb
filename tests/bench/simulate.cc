#include <string>
#include <vector>

#include "policy/model/lists/digest_lists.h"
#include "proto/wire/convert.h"
#include "server/rollout/simulation.h"
#include "tests/bench/bench.h"
#include "tests/bench/big_store.h"
#include "tests/bench/endpoints.h"

namespace weighmaster::bench {
namespace {

constexpr int kDigests = 100'000;

model::Condition Test(std::string field, model::Operator op, std::vector<std::string> texts,
                      std::uint64_t number = 0) {
  model::Condition condition;
  condition.kind = model::Condition::Kind::kTest;
  condition.test = {std::move(field), op, std::move(texts), number};
  return condition;
}

model::Rule Rule(std::string id, model::Outcome outcome, model::Condition when) {
  model::Rule rule;
  rule.id = std::move(id);
  rule.outcome = outcome;
  rule.when = std::move(when);
  return rule;
}

// As an administrator's: danger, licences, places, sizes, and a long list of what is approved.
std::vector<server::store::BundlePart> OrdinaryPolicy() {
  using model::Operator;
  using model::Outcome;
  model::RuleSet rules;
  rules.policy_name = "ordinary";
  rules.rules = {
      Rule("dangerous", Outcome::kDeny, Test("risk_severity", Operator::kAtLeast, {}, 4)),
      Rule("safe-formats", Outcome::kWarn,
           Test("format", Operator::kEquals, {"pickle", "pytorch_zip"})),
      Rule("permissive", Outcome::kAllow,
           Test("license", Operator::kEquals, {"apache-2.0", "mit", "bsd-3-clause"})),
      Rule("not-for-business", Outcome::kDeny, Test("license", Operator::kGlob, {"cc-by-nc*"})),
      Rule("downloads", Outcome::kWarn, Test("path", Operator::kGlob, {"/home/*/Downloads/**"})),
      Rule("huge", Outcome::kWarn, Test("size", Operator::kAtLeast, {}, 4'000'000'000)),
      Rule("llama", Outcome::kAllow, Test("architecture", Operator::kEquals, {"llama"}))};
  rules.rules.front().always = true;
  rules.default_outcome = Outcome::kWarn;
  model::DigestLists lists;
  for (int n = 0; n < kDigests; ++n) lists.approved.push_back(tests::TestDigest(n * 3));
  const base::Bytes encoded = model::EncodeDigestLists(lists);
  std::vector<server::store::BundlePart> parts(2);
  parts[0].reference.kind = wire::PartKind::kRules;
  parts[0].content = wire::SerialiseRules(rules);
  parts[1].reference.kind = wire::PartKind::kLists;
  parts[1].content = base::AsText(encoded);
  return parts;
}

}  // namespace

int Simulate(const Arguments& arguments) {
  const auto store = OpenBigStore(arguments[0]);
  const auto queries = Must(store->OpenQueries());
  const int runs = std::stoi(arguments[1]);
  for (int run = 0; run < runs; ++run) {
    const Stopwatch watch;
    const auto simulation = Must(server::rollout::Simulate(
        *queries, server::store::Scope::WholeFleet(), OrdinaryPolicy(), 20,
        tests::kTestEpoch + std::chrono::days(360), [] { return base::Status(); }));
    std::printf("{\"seconds\": %.6f, \"sightings\": %llu, \"changed\": %llu}\n", watch.Seconds(),
                static_cast<unsigned long long>(simulation.sightings),
                static_cast<unsigned long long>(simulation.changed));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace weighmaster::bench
