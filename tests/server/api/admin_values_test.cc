#include "server/api/admin_values.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "server/rollout/simulation.h"
#include "tests/support/endpoint_script.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::api {
namespace {

rollout::SimulatedChange Change(std::string path) {
  rollout::SimulatedChange change;
  change.endpoint = tests::TestId(1);
  change.path.bytes = std::move(path);
  change.rule_now = "before";
  change.verdict.mode = model::Mode::kEnforce;
  return change;
}

TEST(AdminValues, TellAllThatASimulationFound) {
  rollout::Simulation simulation;
  simulation.changed_mode = 2;
  simulation.changed_severity = 1;
  simulation.modes = {{model::Mode::kObserve, model::Mode::kEnforce, 2, {Change("/m/a")}}};
  simulation.severities = {
      {model::Severity::kMedium, model::Severity::kCritical, 1, {Change("/m/b")}}};
  simulation.audits = {{"watch", 0}, {"watch-nc", 3}};
  simulation.withheld = {{model::Withheld::kLicense, 5}};
  v1::SimulatePolicyResponse out;
  ToProto(simulation, out);
  EXPECT_EQ(out.changed_mode(), 2U);
  ASSERT_EQ(out.mode_changes_size(), 1);
  EXPECT_EQ(out.mode_changes(0).from(), v1::MODE_OBSERVE);
  EXPECT_EQ(out.mode_changes(0).to(), v1::MODE_ENFORCE);
  EXPECT_EQ(out.mode_changes(0).sightings(), 2U);
  ASSERT_EQ(out.mode_changes(0).first_size(), 1);
  EXPECT_EQ(out.mode_changes(0).first(0).path().text(), "/m/a");
  EXPECT_EQ(out.mode_changes(0).first(0).rule_now(), "before");
  EXPECT_EQ(out.mode_changes(0).first(0).verdict().mode(), v1::MODE_ENFORCE);
  EXPECT_EQ(out.changed_severity(), 1U);
  ASSERT_EQ(out.severity_changes_size(), 1);
  EXPECT_EQ(out.severity_changes(0).from(), v1::SEVERITY_MEDIUM);
  EXPECT_EQ(out.severity_changes(0).to(), v1::SEVERITY_CRITICAL);
  EXPECT_EQ(out.severity_changes(0).first(0).path().text(), "/m/b");
  ASSERT_EQ(out.audits_size(), 2);
  EXPECT_EQ(out.audits(0).rule(), "watch");
  EXPECT_EQ(out.audits(0).sightings(), 0U);
  EXPECT_EQ(out.audits(1).sightings(), 3U);
  ASSERT_EQ(out.withheld_size(), 1);
  EXPECT_EQ(out.withheld(0).field(), "license");
  EXPECT_EQ(out.withheld(0).endpoints(), 5U);
}

TEST(AdminValues, TellWhereAPolicyIsInForcePartly) {
  store::EndpointRow endpoint;
  endpoint.policy_partly = true;
  v1::Endpoint shown;
  ToProto(endpoint, true, shown);
  EXPECT_TRUE(shown.policy_partly());
  store::PolicyRow row;
  row.endpoints_partly = 2;
  v1::PublishedPolicy policy;
  ToProto(row, policy);
  EXPECT_EQ(policy.endpoints_partly(), 2U);
  store::StoredBundle bundle;
  bundle.endpoints_partly = 3;
  v1::GetPolicyResponse whole;
  ToProto(bundle, whole);
  EXPECT_EQ(whole.endpoints_partly(), 3U);
  store::Statistics numbers;
  numbers.endpoints_partly = 4;
  v1::GetStatisticsResponse statistics;
  ToProto(numbers, statistics);
  EXPECT_EQ(statistics.endpoints_partly(), 4U);
}

TEST(AdminValues, TellWhatAuditRulesWouldDecide) {
  store::VerdictCounts counts;
  counts.audits = {{"watch", 1}, {"watch-nc", 2}};
  v1::CountVerdictsResponse out;
  ToProto(counts, out);
  ASSERT_EQ(out.audits_size(), 2);
  EXPECT_EQ(out.audits(1).rule(), "watch-nc");
  EXPECT_EQ(out.audits(1).sightings(), 2U);
}

}  // namespace
}  // namespace weighmaster::server::api
