#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/api/dispatch.h"

namespace weighmaster::v1 {
class GetStatisticsResponse;
}  // namespace weighmaster::v1

namespace weighmaster::server::rest {

// Connections to the gRPC port whose peer nobody knows yet, and why others of them were ended.
struct StrangerCounts {
  std::size_t open = 0;
  std::vector<std::pair<std::string_view, std::uint64_t>> cut;  // by reason
  std::uint64_t pauses = 0;  // in which those who connect had to wait
};

// What the gateway itself counts, and what it was given.
struct GatewayCounts {
  std::size_t calls_waiting = 0;
  std::size_t event_streams = 0;
  StrangerCounts strangers = {};
};

// GetStatistics and how calls ended, for Prometheus: the text format, version 0.0.4.
// https://prometheus.io/docs/instrumenting/exposition_formats/
inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";
std::string MetricsText(const v1::GetStatisticsResponse& statistics, const api::Dispatch& dispatch,
                        const GatewayCounts& gateway);

}  // namespace weighmaster::server::rest
