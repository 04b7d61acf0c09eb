#pragma once

#include <cstddef>
#include <string>

#include "server/api/dispatch.h"

namespace weighmaster::v1 {
class GetStatisticsResponse;
}  // namespace weighmaster::v1

namespace weighmaster::server::rest {

// What the gateway itself counts.
struct GatewayCounts {
  std::size_t calls_waiting = 0;
  std::size_t event_streams = 0;
};

// GetStatistics and how calls ended, for Prometheus: the text format, version 0.0.4.
// https://prometheus.io/docs/instrumenting/exposition_formats/
inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";
std::string MetricsText(const v1::GetStatisticsResponse& statistics, const api::Dispatch& dispatch,
                        const GatewayCounts& gateway);

}  // namespace weighmaster::server::rest
