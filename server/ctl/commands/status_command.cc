#include <string>
#include <string_view>
#include <utility>

#include "policy/base/bytes.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "server/ctl/message_json.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;
using Statistics = v1::GetStatisticsResponse;

std::uint64_t EndpointsIn(const Statistics& statistics, v1::EndpointState state) {
  std::uint64_t endpoints = 0;
  for (const v1::EndpointCount& count : statistics.endpoints()) {
    if (count.state() == state) endpoints += count.endpoints();
  }
  return endpoints;
}

std::uint64_t FindingsIn(const Statistics& statistics, v1::FindingState state) {
  std::uint64_t findings = 0;
  for (const v1::FindingCount& count : statistics.findings()) {
    if (count.state() == state) findings += count.findings();
  }
  return findings;
}

template <typename Count>
Column<Statistics> Figure(std::string_view key, Count count) {
  return {{key, ""},
          [count](const Statistics& statistics) { return Cell::Number(count(statistics)); }};
}

// What the server did since it was started. The keys are those of the API.
Columns<Statistics> ServerColumns() {
  return {
      {{"server_version", ""}, [](const Statistics& s) { return Cell::Text(s.server_version()); }},
      {{"started_time", ""}, [](const Statistics& s) { return TimeOf(s.started_time_us()); }},
      {{"store_writable", ""}, [](const Statistics& s) { return Cell::Flag(s.store_writable()); }},
      Figure("store_failures", [](const Statistics& s) { return s.store_failures(); }),
      Figure("batches_waiting", [](const Statistics& s) { return s.batches_waiting(); }),
      Figure("batches_stored", [](const Statistics& s) { return s.batches_stored(); }),
      Figure("batches_repeated", [](const Statistics& s) { return s.batches_repeated(); }),
      Figure("batches_set_apart", [](const Statistics& s) { return s.batches_set_apart(); }),
      Figure("batches_refused", [](const Statistics& s) { return s.batches_refused(); }),
      Figure("batches_out_of_order", [](const Statistics& s) { return s.batches_out_of_order(); }),
      Figure("batches_turned_away", [](const Statistics& s) { return s.batches_turned_away(); }),
      Figure("events_stored", [](const Statistics& s) { return s.events_stored(); }),
      Figure("policies_offered", [](const Statistics& s) { return s.policies_offered(); }),
  };
}

// Of `endpoints` it counts who is not revoked, as the line about the fleet does.
Columns<Statistics> FleetColumns() {
  const auto in = [](v1::EndpointState state) {
    return [state](const Statistics& s) { return EndpointsIn(s, state); };
  };
  const auto of_coverage = [](std::uint64_t (v1::FleetCoverage::*count)() const) {
    return [count](const Statistics& s) { return (s.verdicts().coverage().*count)(); };
  };
  return {
      Figure("connected", [](const Statistics& s) { return s.connected(); }),
      Figure("endpoints_active", in(v1::ENDPOINT_STATE_ACTIVE)),
      Figure("endpoints_quarantined", in(v1::ENDPOINT_STATE_QUARANTINED)),
      Figure("endpoints_revoked", in(v1::ENDPOINT_STATE_REVOKED)),
      Figure("endpoints", of_coverage(&v1::FleetCoverage::endpoints)),
      Figure("endpoints_looked", of_coverage(&v1::FleetCoverage::endpoints_looked)),
      Figure("endpoints_looked_partly", of_coverage(&v1::FleetCoverage::endpoints_partly)),
      Figure("endpoints_not_looked", of_coverage(&v1::FleetCoverage::endpoints_not)),
      Figure("newest_policy_version",
             [](const Statistics& s) { return s.newest_policy_version(); }),
      Figure("endpoints_in_force", [](const Statistics& s) { return s.endpoints_in_force(); }),
      Figure("endpoints_partly", [](const Statistics& s) { return s.endpoints_partly(); }),
  };
}

Columns<Statistics> WorkColumns() {
  const auto in = [](v1::FindingState state) {
    return [state](const Statistics& s) { return FindingsIn(s, state); };
  };
  return {
      Figure("deny", [](const Statistics& s) { return s.verdicts().deny(); }),
      Figure("warn", [](const Statistics& s) { return s.verdicts().warn(); }),
      Figure("allow", [](const Statistics& s) { return s.verdicts().allow(); }),
      Figure("pending", [](const Statistics& s) { return s.verdicts().pending(); }),
      Figure("findings_open", in(v1::FINDING_STATE_OPEN)),
      Figure("findings_acknowledged", in(v1::FINDING_STATE_ACKNOWLEDGED)),
      Figure("findings_dismissed", in(v1::FINDING_STATE_DISMISSED)),
      Figure("findings_resolved", in(v1::FINDING_STATE_RESOLVED)),
  };
}

void Print(std::ostream& out, const Statistics& statistics) {
  const v1::CountVerdictsResponse& verdicts = statistics.verdicts();
  const std::uint64_t to_do = FindingsIn(statistics, v1::FINDING_STATE_OPEN) +
                              FindingsIn(statistics, v1::FINDING_STATE_ACKNOWLEDGED);
  out << "version     " << base::EscapeForDisplay(statistics.server_version()) << ", since "
      << TimeCell(statistics.started_time_us()) << "\n"
      << "store       " << (statistics.store_writable() ? "can be written" : "can NOT be written")
      << ", " << statistics.batches_waiting() << " batches wait\n"
      << "endpoints   " << verdicts.coverage().endpoints() << ", " << statistics.connected()
      << " connected\n"
      << "policy      version " << statistics.newest_policy_version() << ", in force on "
      << statistics.endpoints_in_force() << PartlyNote(statistics.endpoints_partly()) << "\n"
      << "models      " << verdicts.deny() << " denied, " << verdicts.warn() << " warned of, "
      << verdicts.allow() << " allowed, " << verdicts.pending() << " not judged yet\n"
      << "findings    " << to_do << " to be worked on\n";
}

base::Result<ExitCode> Status(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  Statistics statistics;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetStatistics({}, statistics));
  switch (form) {
    case report::Form::kJson:
      WM_RETURN_IF_ERROR(PrintMessageJson(context, statistics));
      return ExitCode::kOk;
    case report::Form::kCsv: {
      Columns<Statistics> columns = ServerColumns();
      for (const Columns<Statistics>& more : {FleetColumns(), WorkColumns()}) {
        columns.insert(columns.end(), more.begin(), more.end());
      }
      return PrintThing(context, arguments, statistics, std::move(columns), "");
    }
    case report::Form::kTable:
      Print(context.out, statistics);
      return ExitCode::kOk;
  }
  return ExitCode::kOk;
}

}  // namespace

Command StatusCommand() {
  return {"status", "says how the server is, in numbers", {}, WithWatchOptions({}), Status};
}

}  // namespace weighmaster::server::ctl
