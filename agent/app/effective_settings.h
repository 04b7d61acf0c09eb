#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/app/settings.h"
#include "agent/sensors/artifacts/budget.h"
#include "policy/model/settings.h"

namespace weighmaster::agent::app {

// Who gave a setting its value. The numbers are those of local.v1.SettingSource.
enum class SettingSource : std::uint8_t { kDefault = 1, kFile = 2, kPolicy = 3 };

// One setting as people read it.
struct EffectiveSetting {
  std::string name;
  std::string value;
  SettingSource source = SettingSource::kDefault;
};

// What holds on this endpoint at one moment. The machine belongs to its owner: what the settings
// file says goes before what the policy says, and where neither says anything a value holds that
// fits a laptop. What is withheld is the policy's alone to say. A value.
struct EffectiveSettings {
  std::uint64_t min_size_bytes = 0;
  sensors::Budget budget;
  std::vector<EffectiveSetting> all;  // for status
};
EffectiveSettings Effective(const Settings& file, const model::Settings& policy);

}  // namespace weighmaster::agent::app
