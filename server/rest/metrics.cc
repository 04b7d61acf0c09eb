#include "server/rest/metrics.h"

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "policy/model/severity.h"
#include "server/store/values.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::rest {
namespace {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// A family of samples after the other.
class Page {
 public:
  void Family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
             std::string(type) + "\n";
  }
  void Sample(const Labels& labels, const std::string& value) {
    text_ += name_;
    char before = '{';
    for (const auto& [name, label] : labels) {
      text_ += before + std::string(name) + "=\"" + Escaped(label) + "\"";
      before = ',';
    }
    text_ += (before == '{' ? " " : "} ") + value + "\n";
  }
  void Sample(const Labels& labels, std::uint64_t value) { Sample(labels, std::to_string(value)); }
  // A family of one.
  void One(std::string_view name, std::string_view type, std::string_view help,
           std::uint64_t value) {
    Family(name, type, help);
    Sample({}, value);
  }
  std::string Take() { return std::move(text_); }

 private:
  static std::string Escaped(std::string_view label) {
    std::string escaped;
    for (const char c : label) {
      if (c == '\\' || c == '"') escaped += '\\';
      escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return escaped;
  }

  std::string name_;
  std::string text_;
};

constexpr std::string_view kGauge = "gauge";
constexpr std::string_view kCounter = "counter";

// Seconds from microseconds, exact.
std::string Seconds(std::int64_t time_us) {
  std::string micros = std::to_string(time_us % 1'000'000);
  micros.insert(0, 6 - micros.size(), '0');
  return std::to_string(time_us / 1'000'000) + "." + micros;
}

void AddServer(const v1::GetStatisticsResponse& statistics, Page& page) {
  page.Family("weighmaster_build_info", kGauge, "The version that runs; always 1.");
  page.Sample({{"version", statistics.server_version()}}, 1);
  page.Family("weighmaster_start_time_seconds", kGauge, "When the server was started, since 1970.");
  page.Sample({}, Seconds(statistics.started_time_us()));
  page.One("weighmaster_store_writable", kGauge, "Whether events can be stored: 1 or 0.",
           statistics.store_writable() ? 1 : 0);
}

void AddFleet(const v1::GetStatisticsResponse& statistics, Page& page) {
  page.Family("weighmaster_endpoints", kGauge, "Enrolled endpoints by state.");
  for (const v1::EndpointCount& count : statistics.endpoints()) {
    const auto state = static_cast<store::EndpointState>(count.state());
    page.Sample({{"state", store::EndpointStateName(state)}}, count.endpoints());
  }
  page.One("weighmaster_endpoints_connected", kGauge, "Endpoints whose stream is open.",
           statistics.connected());
  const v1::CountVerdictsResponse& verdicts = statistics.verdicts();
  page.Family("weighmaster_sightings", kGauge, "Models that are present, by verdict.");
  page.Sample({{"verdict", "allow"}}, verdicts.allow());
  page.Sample({{"verdict", "warn"}}, verdicts.warn());
  page.Sample({{"verdict", "deny"}}, verdicts.deny());
  page.Sample({{"verdict", "pending"}}, verdicts.pending());
  page.Family("weighmaster_coverage_endpoints", kGauge,
              "Endpoints that are not revoked, by how well they were looked at.");
  page.Sample({{"state", "looked"}}, verdicts.coverage().endpoints_looked());
  page.Sample({{"state", "partly"}}, verdicts.coverage().endpoints_partly());
  page.Sample({{"state", "not"}}, verdicts.coverage().endpoints_not());
  page.Family("weighmaster_findings", kGauge, "Findings by state and severity.");
  for (const v1::FindingCount& count : statistics.findings()) {
    const auto severity = static_cast<model::Severity>(count.severity());
    page.Sample(
        {{"state", store::FindingStateName(static_cast<store::FindingState>(count.state()))},
         {"severity", model::SeverityName(severity)}},
        count.findings());
  }
  page.One("weighmaster_policy_newest_version", kGauge,
           "The policy that was published last; 0: none.", statistics.newest_policy_version());
  page.One("weighmaster_policy_endpoints_in_force", kGauge,
           "Endpoints that say the newest policy is in force.", statistics.endpoints_in_force());
  page.One("weighmaster_policy_endpoints_partly", kGauge,
           "Of these, endpoints that lack rules of it which they do not understand.",
           statistics.endpoints_partly());
  page.One("weighmaster_policy_offers_total", kCounter,
           "Policies that were offered to endpoints since the start.",
           statistics.policies_offered());
}

void AddIngest(const v1::GetStatisticsResponse& statistics, Page& page) {
  page.Family("weighmaster_ingest_batches_total", kCounter,
              "Batches of events since the start, by what became of them.");
  page.Sample({{"outcome", "stored"}}, statistics.batches_stored());
  page.Sample({{"outcome", "repeated"}}, statistics.batches_repeated());
  page.Sample({{"outcome", "set_apart"}}, statistics.batches_set_apart());
  page.Sample({{"outcome", "refused"}}, statistics.batches_refused());
  page.Sample({{"outcome", "out_of_order"}}, statistics.batches_out_of_order());
  page.Sample({{"outcome", "turned_away"}}, statistics.batches_turned_away());
  page.One("weighmaster_ingest_events_total", kCounter,
           "Events in the batches that were stored since the start.", statistics.events_stored());
  page.One("weighmaster_ingest_batches_waiting", kGauge, "Batches that wait to be stored.",
           statistics.batches_waiting());
  page.One("weighmaster_ingest_store_failures_total", kCounter,
           "How often the store could not be written since the start.",
           statistics.store_failures());
}

void AddCalls(const api::Dispatch& dispatch, const GatewayCounts& gateway, Page& page) {
  page.Family("weighmaster_admin_calls_total", kCounter,
              "Calls of the administrative API since the start, by method and code.");
  for (const auto& [key, calls] : dispatch.call_counts()) {
    const auto code = key.error ? base::ErrorCodeName(*key.error) : std::string_view("OK");
    page.Sample({{"method", key.method}, {"code", code}}, calls);
  }
  page.One("weighmaster_admin_calls_rate_limited_total", kCounter,
           "Calls that were refused because their token called too often.",
           dispatch.rate_limited());
  page.One("weighmaster_rest_calls_waiting", kGauge,
           "REST calls whose answer is being made or written.", gateway.calls_waiting);
  page.One("weighmaster_rest_event_streams", kGauge, "Readers of server-sent events.",
           gateway.event_streams);
}

void AddStrangers(const StrangerCounts& strangers, Page& page) {
  page.One("weighmaster_rpc_strangers", kGauge,
           "Connections to the gRPC port whose peer has not shown who it is.", strangers.open);
  page.Family("weighmaster_rpc_strangers_cut_total", kCounter,
              "Such connections that were ended since the start, by reason.");
  for (const auto& [reason, count] : strangers.cut) page.Sample({{"reason", reason}}, count);
  page.One("weighmaster_rpc_accept_pauses_total", kCounter,
           "How often those who connect had to wait, for lack of places or descriptors.",
           strangers.pauses);
}

}  // namespace

std::string MetricsText(const v1::GetStatisticsResponse& statistics, const api::Dispatch& dispatch,
                        const GatewayCounts& gateway) {
  Page page;
  AddServer(statistics, page);
  AddFleet(statistics, page);
  AddIngest(statistics, page);
  AddCalls(dispatch, gateway, page);
  AddStrangers(gateway.strangers, page);
  return page.Take();
}

}  // namespace weighmaster::server::rest
