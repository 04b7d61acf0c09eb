#include "server/ctl/coverage_line.h"

#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {

std::string CoverageLine(const v1::FleetCoverage& coverage) {
  const auto count = [](std::uint64_t number) { return std::to_string(number); };
  if (coverage.endpoints() == 0) return "No endpoint is enrolled.";
  std::string line = "Of " + count(coverage.endpoints()) + " endpoints " +
                     count(coverage.endpoints_looked()) + " were looked at whole";
  if (coverage.endpoints_partly() > 0) {
    line += ", " + count(coverage.endpoints_partly()) + " partly";
  }
  if (coverage.endpoints_not() > 0) {
    line += ", " + count(coverage.endpoints_not()) + " not at all";
  }
  return line + ".";
}

}  // namespace weighmaster::server::ctl
