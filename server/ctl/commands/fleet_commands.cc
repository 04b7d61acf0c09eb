#include <chrono>
#include <string>
#include <utility>

#include "policy/model/artifact.h"
#include "policy/report/table.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "third_party/posix/files.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using Align = report::Table::Align;

constexpr std::size_t kMaxSecretFileBytes = 64 * 1024;

std::string WithoutBlanks(std::string text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

base::Result<ExitCode> Login(Context& context, const Arguments& arguments) {
  Profile profile;
  profile.address = arguments.Value("server");
  if (profile.address.empty()) return base::InvalidArgument("--server HOST:PORT is missing");
  if (!arguments.Has("ca-file") || !arguments.Has("token-file")) {
    return base::InvalidArgument(
        "--ca-file and --token-file are needed; \"weighmaster-server init\" wrote both");
  }
  WM_ASSIGN_OR_RETURN(profile.ca_pem, posix::ReadFile(arguments.Value("ca-file"), 1 << 20));
  WM_ASSIGN_OR_RETURN(std::string token,
                      posix::ReadFile(arguments.Value("token-file"), kMaxSecretFileBytes));
  profile.token = WithoutBlanks(std::move(token));
  v1::GetFleetResponse fleet;
  WM_RETURN_IF_ERROR(AdminClient(profile).GetFleet({}, fleet));
  profile.fleet_id = fleet.fleet_id();
  WM_RETURN_IF_ERROR(SaveProfile(context.profile_path, profile));
  context.out << "Logged in to " << profile.address << ", fleet " << profile.fleet_id
              << ". Kept in " << context.profile_path << ".\n";
  return ExitCode::kOk;
}

std::string StateCell(const v1::Endpoint& endpoint) {
  switch (endpoint.state()) {
    case v1::ENDPOINT_STATE_REVOKED:
      return "revoked";
    case v1::ENDPOINT_STATE_QUARANTINED:
      return "quarantined";
    default:
      return endpoint.connected() ? "connected" : "away";
  }
}

std::string CoverageCell(const v1::Endpoint& endpoint) {
  std::uint64_t looked = 0;
  for (const v1::Coverage& coverage : endpoint.coverage()) {
    if (coverage.state() == v1::COVERAGE_STATE_LOOKED) ++looked;
  }
  return std::to_string(looked) + " of " + std::to_string(endpoint.coverage_size()) + " roots";
}

base::Result<ExitCode> Endpoints(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  AdminClient client(std::move(profile));
  report::Table table({{"ENDPOINT"},
                       {"HOSTNAME"},
                       {"STATE"},
                       {"LAST CONTACT"},
                       {"POLICY", Align::kRight},
                       {"MODELS", Align::kRight},
                       {"DENIED", Align::kRight},
                       {"WARNED", Align::kRight},
                       {"COVERAGE"}});
  std::uint64_t shown = 0;
  const auto tell = [&](const v1::ListEndpointsResponse& page) -> base::Result<std::uint64_t> {
    for (const v1::Endpoint& endpoint : page.endpoints()) {
      table.AddRow({endpoint.endpoint_id(), endpoint.hostname(), StateCell(endpoint),
                    TimeCell(endpoint.last_contact_time_us()),
                    std::to_string(endpoint.policy_version()), std::to_string(endpoint.sightings()),
                    std::to_string(endpoint.denied()), std::to_string(endpoint.warned()),
                    CoverageCell(endpoint)});
    }
    const auto rows = static_cast<std::uint64_t>(page.endpoints_size());
    shown += rows;
    return rows;
  };
  WM_ASSIGN_OR_RETURN(const v1::ListEndpointsResponse last,
                      ForEachPage(client, arguments, v1::ListEndpointsRequest(),
                                  &AdminClient::ListEndpoints, tell));
  context.out << table.ToString() << "\n"
              << TotalLine(shown, last.total(), last.total_is_least(), "endpoints") << "\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> CreateToken(Context& context, const Arguments& arguments) {
  v1::CreateTokenRequest request;
  WM_ASSIGN_OR_RETURN(const std::uint64_t uses, arguments.Number("uses", 1));
  if (uses == 0 || uses > UINT32_MAX) return base::InvalidArgument("--uses must be 1 or more");
  WM_ASSIGN_OR_RETURN(const base::Duration valid_for,
                      arguments.Duration("valid-for", std::chrono::hours(24)));
  request.set_uses(static_cast<std::uint32_t>(uses));
  request.set_valid_for_ms(
      std::chrono::duration_cast<std::chrono::milliseconds>(valid_for).count());
  request.set_comment(arguments.Value("comment"));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  v1::CreateTokenResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).CreateToken(request, response));
  // The token alone goes to standard output, so that it can be piped into a file.
  context.out << response.token() << "\n";
  context.err << "For " << uses << (uses == 1 ? " enrolment" : " enrolments") << ", until "
              << TimeCell(response.expires_time_us())
              << ". It is a secret, and the server does not show it again.\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Revoke(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  v1::RevokeEndpointRequest request;
  request.set_endpoint_id(arguments.Positional(0));
  request.set_reason(arguments.Value("reason"));
  v1::RevokeEndpointResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).RevokeEndpoint(request, response));
  context.out << "Revoked " << arguments.Positional(0)
              << (response.was_connected() ? "; its stream is closed.\n"
                                           : "; it was not connected.\n");
  return ExitCode::kOk;
}

std::string SeverityCell(v1::Severity severity) {
  return std::string(model::SeverityName(static_cast<model::Severity>(severity)));
}

base::Result<ExitCode> Findings(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  AdminClient client(std::move(profile));
  report::Table table({{"ID", Align::kRight},
                       {"SEVERITY"},
                       {"RULE"},
                       {"ENDPOINT"},
                       {"LAST SEEN"},
                       {"TIMES", Align::kRight},
                       {"STATE"},
                       {"SUBJECT"},
                       {"DETAIL"}});
  v1::ListFindingsRequest request;
  request.set_include_resolved(arguments.Has("all"));
  std::uint64_t shown = 0;
  const auto tell = [&](const v1::ListFindingsResponse& page) -> base::Result<std::uint64_t> {
    for (const v1::Finding& finding : page.findings()) {
      table.AddRow({std::to_string(finding.finding_id()), SeverityCell(finding.severity()),
                    finding.rule(), finding.hostname(), TimeCell(finding.last_time_us()),
                    std::to_string(finding.count()), FindingStateText(finding.state()),
                    finding.subject(), finding.detail()});
    }
    const auto rows = static_cast<std::uint64_t>(page.findings_size());
    shown += rows;
    return rows;
  };
  WM_ASSIGN_OR_RETURN(const v1::ListFindingsResponse last,
                      ForEachPage(client, arguments, request, &AdminClient::ListFindings, tell));
  if (!table.empty()) context.out << table.ToString() << "\n";
  context.out << TotalLine(shown, last.total(), last.total_is_least(), "findings") << "\n";
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> FleetCommands() {
  return {
      {"login",
       "keeps the server's address, its CA and an administrator's token",
       {},
       {{"server", "HOST:PORT", "the server's address, as in its certificate"},
        {"ca-file", "FILE", "the CA that \"weighmaster-server init\" wrote (ca.pem)"},
        {"token-file", "FILE", "the administrator's token; - is standard input"}},
       Login},
      {"endpoints", "lists the endpoints of the fleet", {}, WithListOptions({}), Endpoints},
      {"tokens create",
       "makes an enrolment token and prints it once",
       {},
       {{"uses", "N", "how many endpoints may enrol with it (1)"},
        {"valid-for", "TIME", "how long it is good for: 90s, 15m, 36h, 7d (24h)"},
        {"comment", "TEXT", "what it is for"}},
       CreateToken},
      {"revoke",
       "refuses an endpoint from now on, also on its open stream",
       {"ENDPOINT"},
       {{"reason", "TEXT", "kept with the endpoint"}},
       Revoke},
      {"findings",
       "lists what the SOC has to look at",
       {},
       WithListOptions({{"all", "", "also those that are resolved or dismissed"}}),
       Findings},
  };
}

}  // namespace weighmaster::server::ctl
