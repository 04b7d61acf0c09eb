#include "agent/app/effective_settings.h"

#include <optional>
#include <string_view>

#include "policy/base/limits.h"
#include "policy/lang/condition/quantity.h"

namespace weighmaster::agent::app {
namespace {

std::string NumberText(std::uint32_t number) { return std::to_string(number); }
std::string FlagText(bool flag) { return flag ? "true" : "false"; }

// Chooses the value of one setting after the other, and notes whose it is.
class Chooser {
 public:
  Chooser(const model::ScanSettings& file, const model::ScanSettings& policy,
          std::vector<EffectiveSetting>& all)
      : file_(file), policy_(policy), all_(all) {}

  template <typename Value>
  Value Choose(std::string_view name, std::optional<Value> model::ScanSettings::*setting,
               Value fallback, std::string (*text)(Value)) {
    SettingSource source = SettingSource::kDefault;
    Value value = fallback;
    if ((file_.*setting).has_value()) {
      source = SettingSource::kFile;
      value = *(file_.*setting);
    } else if ((policy_.*setting).has_value()) {
      source = SettingSource::kPolicy;
      value = *(policy_.*setting);
    }
    all_.push_back({std::string(name), text(value), source});
    return value;
  }

 private:
  const model::ScanSettings& file_;
  const model::ScanSettings& policy_;
  std::vector<EffectiveSetting>& all_;
};

}  // namespace

EffectiveSettings Effective(const Settings& file, const model::Settings& policy) {
  using Scan = model::ScanSettings;
  EffectiveSettings effective;
  Chooser chooser(file.scan, policy.scan, effective.all);
  effective.min_size_bytes = chooser.Choose("min_size", &Scan::min_size_bytes,
                                            base::limits::kDefaultMinFileBytes, lang::BytesText);
  sensors::Budget& budget = effective.budget;
  budget.bytes_per_second =
      chooser.Choose("read_per_second", &Scan::read_per_second_bytes,
                     std::uint64_t{256 * base::limits::kMiB}, lang::BytesText);
  budget.cpu_percent =
      chooser.Choose("cpu_percent", &Scan::cpu_percent, std::uint32_t{50}, NumberText);
  budget.pause_on_battery =
      chooser.Choose("pause_on_battery", &Scan::pause_on_battery, true, FlagText);
  budget.max_load_per_cpu =
      chooser.Choose("pause_above_load", &Scan::pause_above_load, std::uint32_t{2}, NumberText);
  budget.background = file.background;
  std::string withheld;
  for (const model::Withheld field : policy.withheld) {
    withheld += (withheld.empty() ? "" : ", ") + std::string(model::WithheldName(field));
  }
  if (!withheld.empty()) {
    effective.all.push_back({"withheld", std::move(withheld), SettingSource::kPolicy});
  }
  return effective;
}

}  // namespace weighmaster::agent::app
