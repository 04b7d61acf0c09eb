#pragma once

#include <string>

namespace weighmaster::v1 {
class FleetCoverage;
}  // namespace weighmaster::v1

namespace weighmaster::server::ctl {

// How much of the fleet a count speaks for, as a sentence: "could not look" is never shown as none.
std::string CoverageLine(const v1::FleetCoverage& coverage);

}  // namespace weighmaster::server::ctl
