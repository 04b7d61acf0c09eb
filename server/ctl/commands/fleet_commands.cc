#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "policy/base/bytes.h"
#include "policy/report/table.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "server/ctl/message_json.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;
constexpr auto kRight = report::Table::Align::kRight;

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

// What is stored of an open stream is some minutes old.
Cell LastContact(const v1::Endpoint& endpoint) {
  Cell cell = TimeOf(endpoint.last_contact_time_us());
  return endpoint.connected() ? std::move(cell).ShownAs("now") : cell;
}

std::uint64_t RootsLooked(const v1::Endpoint& endpoint) {
  return static_cast<std::uint64_t>(
      std::ranges::count(endpoint.coverage(), v1::COVERAGE_STATE_LOOKED, &v1::Coverage::state));
}

std::uint64_t Roots(const v1::Endpoint& endpoint) {
  return static_cast<std::uint64_t>(endpoint.coverage_size());
}

Columns<v1::Endpoint> EndpointColumns() {
  using Endpoint = v1::Endpoint;
  return {
      {{"endpoint_id", "ENDPOINT"}, [](const Endpoint& e) { return Cell::Text(e.endpoint_id()); }},
      {{"hostname", "HOSTNAME"}, [](const Endpoint& e) { return Cell::Text(e.hostname()); }},
      {{"os", ""}, [](const Endpoint& e) { return Cell::Text(e.os()); }},
      {{"agent_version", ""}, [](const Endpoint& e) { return Cell::Text(e.agent_version()); }},
      {{"state", "STATE"},
       [](const Endpoint& e) {
         return Cell::Text(EnumWord(v1::EndpointState_Name(e.state()), "ENDPOINT_STATE_"))
             .ShownAs(StateCell(e));
       }},
      {{"connected", ""}, [](const Endpoint& e) { return Cell::Flag(e.connected()); }},
      {{"enrolled_time", ""}, [](const Endpoint& e) { return TimeOf(e.enrolled_time_us()); }},
      {{"last_contact_time", "LAST CONTACT"}, [](const Endpoint& e) { return LastContact(e); }},
      {{"clock_offset_us", ""},
       [](const Endpoint& e) { return Cell::Difference(e.clock_offset_us()); }},
      {{"policy_version", "POLICY", kRight},
       [](const Endpoint& e) {
         return Cell::Number(e.policy_version())
             .ShownAs(std::to_string(e.policy_version()) + (e.policy_partly() ? " partly" : ""));
       }},
      {{"policy_partly", ""}, [](const Endpoint& e) { return Cell::Flag(e.policy_partly()); }},
      {{"policy_since_time", ""},
       [](const Endpoint& e) { return TimeOf(e.policy_since_time_us()); }},
      {{"sightings", "MODELS", kRight},
       [](const Endpoint& e) { return Cell::Number(e.sightings()); }},
      {{"denied", "DENIED", kRight}, [](const Endpoint& e) { return Cell::Number(e.denied()); }},
      {{"warned", "WARNED", kRight}, [](const Endpoint& e) { return Cell::Number(e.warned()); }},
      {{"events_stored", ""}, [](const Endpoint& e) { return Cell::Number(e.events_stored()); }},
      {{"events_dropped", ""}, [](const Endpoint& e) { return Cell::Number(e.events_dropped()); }},
      {{"roots_looked", "COVERAGE"},
       [](const Endpoint& e) {
         return Cell::Number(RootsLooked(e))
             .ShownAs(std::to_string(RootsLooked(e)) + " of " + std::to_string(Roots(e)) +
                      " roots");
       }},
      {{"roots", ""}, [](const Endpoint& e) { return Cell::Number(Roots(e)); }},
      {{"coverage", ""},
       [](const Endpoint& e) {
         return Cell::Text(EnumWord(v1::CoverageState_Name(e.coverage_state()), "COVERAGE_STATE_"));
       }},
      {{"key_sha256", ""}, [](const Endpoint& e) { return Cell::Text(e.key_sha256()); }},
      {{"key_added_time", ""}, [](const Endpoint& e) { return TimeOf(e.key_added_time_us()); }},
      {{"revoked_time", ""}, [](const Endpoint& e) { return TimeOf(e.revoked_time_us()); }},
      {{"revoked_reason", ""}, [](const Endpoint& e) { return Cell::Text(e.revoked_reason()); }},
      {{"labels", "LABELS"},
       [](const Endpoint& e) {
         return Cell::Words({e.labels().begin(), e.labels().end()});
       }},
  };
}

base::Result<ExitCode> Endpoints(Context& context, const Arguments& arguments) {
  return PrintList(
      context, arguments, v1::ListEndpointsRequest(), &AdminClient::ListEndpoints,
      [](const auto& page) -> const auto& { return page.endpoints(); }, EndpointColumns(),
      "endpoints");
}

template <typename Labels>
std::string LabelsText(const Labels& labels) {
  std::string text;
  for (const std::string& label : labels) text += (text.empty() ? "" : " ") + label;
  return text.empty() ? "none" : text;
}

// "" where there is none to give.
std::string ReasonText(const v1::Coverage& coverage) {
  if (coverage.reason() == v1::COVERAGE_REASON_NONE) return "";
  return EnumWord(v1::CoverageReason_Name(coverage.reason()), "COVERAGE_REASON_");
}

std::string CoverageText(const v1::Coverage& coverage) {
  std::string text = base::EscapeForDisplay(coverage.sensor()) + " " +
                     base::EscapeForDisplay(coverage.root().value()) + ": " +
                     EnumWord(v1::CoverageState_Name(coverage.state()), "COVERAGE_STATE_");
  const std::string reason = ReasonText(coverage);
  if (!reason.empty()) text += " (" + reason + ")";
  if (!coverage.detail().empty()) text += " " + base::EscapeForDisplay(coverage.detail());
  return text;
}

// The server's clock minus the endpoint's: people want to know which of them goes before.
std::string ClockText(std::int64_t offset_us) {
  const std::int64_t offset_ms = offset_us / 1'000;
  if (offset_ms == 0) return "as the server's";
  return std::to_string(std::abs(offset_ms)) + " ms " + (offset_ms < 0 ? "before" : "behind") +
         " the server's";
}

void Print(std::ostream& out, const v1::Endpoint& endpoint) {
  const auto line = [&out](std::string_view name, const std::string& value) {
    out << name << std::string(14 - name.size(), ' ') << value << "\n";
  };
  const auto text = [](const std::string& value) { return base::EscapeForDisplay(value); };
  line("endpoint", text(endpoint.endpoint_id()));
  line("hostname", text(endpoint.hostname()));
  line("labels", text(LabelsText(endpoint.labels())));
  line("state", StateCell(endpoint));
  if (endpoint.revoked_time_us() != 0) {
    const std::string reason = text(endpoint.revoked_reason());
    line("revoked", TimeCell(endpoint.revoked_time_us()) + (reason.empty() ? "" : ": " + reason));
  }
  line("os", text(endpoint.os()));
  line("agent", text(endpoint.agent_version()));
  line("enrolled", TimeCell(endpoint.enrolled_time_us()));
  line("last contact", LastContact(endpoint).ForTable());
  line("clock", ClockText(endpoint.clock_offset_us()));
  line("key", text(endpoint.key_sha256()) + ", since " + TimeCell(endpoint.key_added_time_us()));
  line("policy", endpoint.policy_version() == 0
                     ? "none is in force"
                     : "version " + std::to_string(endpoint.policy_version()) +
                           (endpoint.policy_partly()
                                ? ", partly: without the rules that the agent does not understand"
                                : ""));
  line("models", std::to_string(endpoint.sightings()) + ", " + std::to_string(endpoint.denied()) +
                     " denied, " + std::to_string(endpoint.warned()) + " warned of");
  line("events", std::to_string(endpoint.events_stored()) + " stored, " +
                     std::to_string(endpoint.events_dropped()) + " dropped by it at a limit");
  if (endpoint.coverage().empty()) line("coverage", "it was not looked at yet");
  for (int i = 0; i < endpoint.coverage_size(); ++i) {
    line(i == 0 ? "coverage" : "", CoverageText(endpoint.coverage(i)));
  }
}

base::Result<ExitCode> CreateToken(Context& context, const Arguments& arguments) {
  v1::CreateTokenRequest request;
  const std::string labels = arguments.Value("label");
  WM_ASSIGN_OR_RETURN(const std::uint64_t uses, arguments.Number("uses", 1));
  if (uses == 0 || uses > UINT32_MAX) return base::InvalidArgument("--uses must be 1 or more");
  WM_ASSIGN_OR_RETURN(const base::Duration valid_for,
                      arguments.Duration("valid-for", std::chrono::hours(24)));
  request.set_uses(static_cast<std::uint32_t>(uses));
  request.set_valid_for_ms(
      std::chrono::duration_cast<std::chrono::milliseconds>(valid_for).count());
  request.set_comment(arguments.Value("comment"));
  for (std::string_view rest = labels; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    request.add_labels(std::string(rest.substr(0, comma)));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::CreateTokenResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).CreateToken(request, response));
  if (arguments.Has("json")) {
    return PrintObject(context, {{"token", Cell::Text(response.token())},
                                 {"uses", Cell::Number(uses)},
                                 {"expires_time", TimeOf(response.expires_time_us())}});
  }
  // The token alone goes to standard output, so that it can be piped into a file.
  context.out << response.token() << "\n";
  context.err << "For " << uses << (uses == 1 ? " enrolment" : " enrolments") << ", until "
              << TimeCell(response.expires_time_us())
              << ". It is a secret, and the server does not show it again.\n";
  return ExitCode::kOk;
}

// "KEY=VALUE" puts a label in the place of the one with this key, "KEY-" takes it away. Whether it
// can be a label is the server's to say.
base::Status ChangeLabel(std::string_view change, std::map<std::string, std::string>& labels) {
  const std::size_t equals = change.find('=');
  if (equals != change.npos) {
    labels[std::string(change.substr(0, equals))] = change.substr(equals + 1);
    return {};
  }
  if (!change.ends_with('-')) {
    return base::InvalidArgument("\"" + std::string(change) +
                                 "\" is neither KEY=VALUE, a label to be set, nor KEY-, one to be "
                                 "taken away");
  }
  labels.erase(std::string(change.substr(0, change.size() - 1)));
  return {};
}

base::Result<ExitCode> LabelEndpoint(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  AdminClient client(std::move(profile));
  v1::GetEndpointRequest get;
  get.set_endpoint_id(arguments.Positional(0));
  v1::Endpoint endpoint;
  WM_RETURN_IF_ERROR(client.GetEndpoint(get, endpoint));
  std::map<std::string, std::string> labels;
  for (const std::string& label : endpoint.labels()) {
    WM_RETURN_IF_ERROR(ChangeLabel(label, labels));
  }
  for (const std::string& change : arguments.PositionalsFrom(1)) {
    WM_RETURN_IF_ERROR(ChangeLabel(change, labels));
  }
  v1::SetEndpointLabelsRequest request;
  request.set_endpoint_id(arguments.Positional(0));
  for (const auto& [key, value] : labels) request.add_labels(key + "=" + value);
  v1::SetEndpointLabelsResponse response;
  WM_RETURN_IF_ERROR(client.SetEndpointLabels(request, response));
  if (arguments.Has("json")) {
    return PrintObject(
        context, {{"endpoint_id", Cell::Text(arguments.Positional(0))},
                  {"labels", Cell::Words({response.labels().begin(), response.labels().end()})}});
  }
  context.out << "Labels of " << arguments.Positional(0) << ": " << LabelsText(response.labels())
              << "\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Revoke(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::RevokeEndpointRequest request;
  request.set_endpoint_id(arguments.Positional(0));
  request.set_reason(arguments.Value("reason"));
  v1::RevokeEndpointResponse response;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).RevokeEndpoint(request, response));
  if (arguments.Has("json")) {
    return PrintObject(context, {{"endpoint_id", Cell::Text(arguments.Positional(0))},
                                 {"was_connected", Cell::Flag(response.was_connected())}});
  }
  context.out << "Revoked " << arguments.Positional(0)
              << (response.was_connected() ? "; its stream is closed.\n"
                                           : "; it was not connected.\n");
  return ExitCode::kOk;
}

Columns<v1::Change> ChangeColumns() {
  using Change = v1::Change;
  return {
      {{"position", "POSITION", kRight},
       [](const Change& c) { return Cell::Number(c.position()); }},
      {{"time", "TIME"}, [](const Change& c) { return TimeOf(c.time_us()); }},
      {{"topic", "TOPIC"},
       [](const Change& c) {
         return Cell::Text(EnumWord(v1::ChangeTopic_Name(c.topic()), "CHANGE_TOPIC_"));
       }},
      {{"endpoint_id", "ENDPOINT"}, [](const Change& c) { return Cell::Text(c.endpoint_id()); }},
      {{"chain_id", ""}, [](const Change& c) { return Cell::Text(c.chain_id()); }},
      {{"number", "NUMBER", kRight}, [](const Change& c) { return Cell::Number(c.number()); }},
      {{"count", "COUNT", kRight}, [](const Change& c) { return Cell::Number(c.count()); }},
  };
}

// Without a position there are no rows: the closing sentence says where it stands.
base::Result<ExitCode> Changes(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  WM_ASSIGN_OR_RETURN(std::uint64_t left, arguments.Number("limit", UINT64_MAX));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  AdminClient client(std::move(profile));
  Sheet<v1::Change> sheet(context.out, form, ChangeColumns());
  v1::ListChangesRequest request;
  request.set_position(arguments.Value("position"));
  request.set_filter(arguments.Value("filter"));
  v1::ListChangesResponse response;
  do {
    constexpr std::uint64_t kRowsAtOnce = 1'000;
    request.set_page_size(static_cast<std::uint32_t>(std::min(left, kRowsAtOnce)));
    response.Clear();
    WM_RETURN_IF_ERROR(client.ListChanges(request, response));
    for (const v1::Change& change : response.changes()) sheet.Add(change);
    request.set_position(response.position());
    left -= static_cast<std::uint64_t>(response.changes_size());
  } while (left > 0 && !response.changes().empty());
  sheet.End("It stands at position " + request.position() + ".");
  return ExitCode::kOk;
}

// A root of an endpoint, and whose it is.
struct EndpointRoot {
  const v1::Endpoint& endpoint;
  const v1::Coverage& coverage;
};

Columns<EndpointRoot> CoverageColumns() {
  using Row = EndpointRoot;
  return {
      {{"endpoint_id", ""}, [](const Row& row) { return Cell::Text(row.endpoint.endpoint_id()); }},
      {{"sensor", ""}, [](const Row& row) { return Cell::Text(row.coverage.sensor()); }},
      {{"root", ""}, [](const Row& row) { return Cell::Text(row.coverage.root().value()); }},
      {{"state", ""},
       [](const Row& row) {
         return Cell::Text(
             EnumWord(v1::CoverageState_Name(row.coverage.state()), "COVERAGE_STATE_"));
       }},
      {{"reason", ""}, [](const Row& row) { return Cell::Text(ReasonText(row.coverage)); }},
      {{"detail", ""}, [](const Row& row) { return Cell::Text(row.coverage.detail()); }},
      {{"detection", ""},
       [](const Row& row) {
         return Cell::Text(
             EnumWord(v1::ChangeDetection_Name(row.coverage.detection()), "CHANGE_DETECTION_"));
       }},
      {{"files_seen", ""}, [](const Row& row) { return Cell::Number(row.coverage.files_seen()); }},
      {{"files_failed", ""},
       [](const Row& row) { return Cell::Number(row.coverage.files_failed()); }},
  };
}

// The rows that the list of endpoints does not have.
void PrintRoots(std::ostream& out, const v1::Endpoint& endpoint) {
  Sheet<EndpointRoot> sheet(out, report::Form::kCsv, CoverageColumns());
  for (const v1::Coverage& coverage : endpoint.coverage()) sheet.Add({endpoint, coverage});
  sheet.End("");
}

base::Result<ExitCode> ShowEndpoint(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  v1::GetEndpointRequest request;
  request.set_endpoint_id(arguments.Positional(0));
  WM_ASSIGN_OR_RETURN(const std::int64_t moment, MomentOf(arguments, "as-of"));
  request.set_as_of_time_us(moment);
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::Endpoint endpoint;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).GetEndpoint(request, endpoint));
  switch (form) {
    case report::Form::kJson:
      WM_RETURN_IF_ERROR(PrintMessageJson(context, endpoint));
      break;
    case report::Form::kCsv:
      PrintRoots(context.out, endpoint);
      break;
    case report::Form::kTable:
      Print(context.out, endpoint);
      break;
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> FleetCommands() {
  return {
      {"endpoints",
       "lists the endpoints of the fleet",
       {},
       WithListOptions({AsOfOption("as it was then: 2026-03-01T12:00:00Z or a date")}),
       Endpoints,
       &query::Endpoints()},
      {"endpoint show",
       "prints all that is known of one endpoint, with its key and each of its roots",
       {"ENDPOINT"},
       WithWatchOptions({AsOfOption("as it was then: 2026-03-01T12:00:00Z or a date")}),
       ShowEndpoint},
      {"endpoint label",
       "gives an endpoint labels (KEY=VALUE) or takes them away (KEY-)",
       {"ENDPOINT", "LABEL..."},
       WithJsonOption({}),
       LabelEndpoint},
      StatusCommand(),
      {"changes",
       "lists what changed since a position, or says where it stands now",
       {},
       WithWatchOptions({{"position", "N", "only what came after it; 0: all that is kept"},
                         {"filter", "FILTER", "only changes that match, e.g. 'topic = finding'"},
                         {"limit", "N", "at most so many rows"}}),
       Changes,
       &query::Changes()},
      {"tokens create",
       "makes an enrolment token and prints it once",
       {},
       WithJsonOption(
           {{"uses", "N", "how many endpoints may enrol with it (1)"},
            {"valid-for", "TIME", "how long it is good for: 90s, 15m, 36h, 7d (24h)"},
            {"comment", "TEXT", "what it is for"},
            {"label", "LABELS", "of the endpoints that enrol with it: site=berlin,team=ml"}}),
       CreateToken},
      {"revoke",
       "refuses an endpoint from now on, also on its open stream",
       {"ENDPOINT"},
       WithJsonOption({{"reason", "TEXT", "kept with the endpoint"}}),
       Revoke},
  };
}

}  // namespace weighmaster::server::ctl
