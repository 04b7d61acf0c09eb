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
