#pragma once

#include <cstdint>
#include <string>

namespace weighmaster::server::ctl {

// A time of the API in a table, to the second: "2026-03-01T12:00:00Z"; 0 is "never".
std::string TimeCell(std::int64_t time_us);

}  // namespace weighmaster::server::ctl
