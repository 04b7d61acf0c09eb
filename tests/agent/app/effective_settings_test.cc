#include "agent/app/effective_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weighmaster::agent::app {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Lines(const EffectiveSettings& effective) {
  std::vector<std::string> lines;
  for (const EffectiveSetting& setting : effective.all) {
    lines.push_back(setting.name + " " + setting.value + " " +
                    std::to_string(static_cast<int>(setting.source)));
  }
  return lines;
}

TEST(EffectiveSettings, FitALaptopWhereNobodySaysAnything) {
  const EffectiveSettings effective = Effective(Settings{}, {});
  EXPECT_EQ(effective.min_size_bytes, 64U * 1024U);
  EXPECT_EQ(effective.budget.bytes_per_second, 256U * 1024U * 1024U);
  EXPECT_EQ(effective.budget.cpu_percent, 50U);
  EXPECT_TRUE(effective.budget.pause_on_battery);
  EXPECT_EQ(effective.budget.max_load_per_cpu, 2);
  EXPECT_TRUE(effective.budget.background);
  EXPECT_THAT(Lines(effective),
              ElementsAre("min_size 64 KiB 1", "read_per_second 256 MiB 1", "cpu_percent 50 1",
                          "pause_on_battery true 1", "pause_above_load 2 1"));
}

TEST(EffectiveSettings, AreTheFilesThenThePolicys) {
  Settings file;
  file.scan.cpu_percent = 20;
  file.scan.min_size_bytes = 1;
  file.background = false;
  model::Settings policy;
  policy.scan.cpu_percent = 5;
  policy.scan.read_per_second_bytes = 2'000'000;
  policy.scan.pause_on_battery = false;
  policy.scan.pause_above_load = 0;
  policy.withheld = {model::Withheld::kOwner, model::Withheld::kLicense};
  const EffectiveSettings effective = Effective(file, policy);
  EXPECT_EQ(effective.min_size_bytes, 1U);
  EXPECT_EQ(effective.budget.bytes_per_second, 2'000'000U);
  EXPECT_EQ(effective.budget.cpu_percent, 20U);
  EXPECT_FALSE(effective.budget.pause_on_battery);
  EXPECT_EQ(effective.budget.max_load_per_cpu, 0);
  EXPECT_FALSE(effective.budget.background);
  EXPECT_THAT(Lines(effective), ElementsAre("min_size 1 B 2", "read_per_second 2 MB 3",
                                            "cpu_percent 20 2", "pause_on_battery false 3",
                                            "pause_above_load 0 3", "withheld owner, license 3"));
}

}  // namespace
}  // namespace weighmaster::agent::app
