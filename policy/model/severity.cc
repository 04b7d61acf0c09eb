#include "policy/model/severity.h"

#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<Severity> kSeverities[] = {
    {Severity::kInfo, "info"}, {Severity::kLow, "low"},           {Severity::kMedium, "medium"},
    {Severity::kHigh, "high"}, {Severity::kCritical, "critical"},
};

}  // namespace

std::string_view SeverityName(Severity severity) { return NameOf(kSeverities, severity); }
base::Result<Severity> ParseSeverity(std::string_view name) {
  return ValueOf(kSeverities, name, "severity");
}

}  // namespace weighmaster::model
