#include "server/rest/metrics.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "policy/base/limits.h"
#include "tests/server/api/api_world.h"
#include "tests/server/rest/metrics_reader.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::rest {
namespace {

using tests::MetricsReader;

class MetricsTest : public ::testing::Test {
 protected:
  MetricsReader Read() { return MetricsReader(MetricsText(statistics_, world_.dispatch_, {})); }

  tests::ApiWorld world_;
  v1::GetStatisticsResponse statistics_;
};

TEST_F(MetricsTest, AreReadBackWhateverALabelHolds) {
  const std::string version = "1.0 \"beta\"\\n{},=\n# x\xc3\xa4";
  statistics_.set_server_version(version);
  EXPECT_EQ(Read().Value("weighmaster_build_info", {{"version", version}}), "1");
}

TEST_F(MetricsTest, HaveSecondsForTimes) {
  statistics_.set_started_time_us(1'767'225'600'000'042);
  EXPECT_EQ(Read().Value("weighmaster_start_time_seconds"), "1767225600.000042");
}

TEST_F(MetricsTest, NameEveryStateAndSeverityThatTheApiHas) {
  const auto& states = *v1::FindingState_descriptor();
  const auto& severities = *v1::Severity_descriptor();
  const auto& endpoint_states = *v1::EndpointState_descriptor();
  for (int i = 1; i < states.value_count(); ++i) {
    for (int j = 1; j < severities.value_count(); ++j) {
      v1::FindingCount& count = *statistics_.add_findings();
      count.set_state(static_cast<v1::FindingState>(states.value(i)->number()));
      count.set_severity(static_cast<v1::Severity>(severities.value(j)->number()));
      count.set_findings(1);
    }
  }
  for (int i = 1; i < endpoint_states.value_count(); ++i) {
    statistics_.add_endpoints()->set_state(
        static_cast<v1::EndpointState>(endpoint_states.value(i)->number()));
  }
  // Two that had one name would be there twice, which the reader refuses.
  const MetricsReader metrics = Read();
  for (const auto& [sample, value] : metrics.samples()) {
    for (const auto& [name, label] : sample.labels) {
      if (name == "version") continue;
      EXPECT_NE(label, "unknown") << sample.name;
      EXPECT_NE(label, "") << sample.name;
    }
  }
}

TEST_F(MetricsTest, TellCallsThatCameTooOftenFromOthersThatFoundNoRoom) {
  const auto& draft = *v1::PolicyDraft::descriptor();
  const auto first = world_.Admit(draft, world_.bearer_);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(world_.Admit(draft, world_.bearer_).has_value());
  EXPECT_EQ(Read().Value("weighmaster_admin_calls_rate_limited_total"), "0");
  for (int i = 2; i < base::limits::kAdminCallBurst; ++i) {
    ASSERT_TRUE(world_.Ask<v1::WhoAmIResponse>(v1::WhoAmIRequest()).has_value()) << i;
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(world_.Ask<v1::WhoAmIResponse>(v1::WhoAmIRequest()).has_value());
  }
  const MetricsReader metrics = Read();
  EXPECT_EQ(metrics.Value("weighmaster_admin_calls_rate_limited_total"), "3");
  const std::string calls = "weighmaster_admin_calls_total";
  EXPECT_EQ(metrics.Value(calls, {{"method", "WhoAmI"}, {"code", "RESOURCE_EXHAUSTED"}}), "3");
  EXPECT_EQ(metrics.Value(calls, {{"method", "SimulatePolicy"}, {"code", "RESOURCE_EXHAUSTED"}}),
            "1");
}

}  // namespace
}  // namespace weighmaster::server::rest
