#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "policy/model/digest.h"
#include "policy/report/sighting_json.h"
#include "policy/report/table.h"
#include "proto/wire/convert.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using Align = report::Table::Align;

// One row of the server's answer as values of the model, whatever the server sent.
struct Row {
  model::Sighting sighting;
  std::optional<model::Verdict> verdict;
  report::SightingContext context;
};

base::Result<Row> ReadRow(const v1::StoredSighting& stored) {
  Row row;
  WM_ASSIGN_OR_RETURN(row.sighting, wire::FromProto(stored.sighting()));
  if (stored.has_verdict()) {
    WM_ASSIGN_OR_RETURN(row.verdict, wire::FromProto(stored.verdict()));
  }
  row.context.endpoint_id = stored.endpoint_id();
  row.context.hostname = stored.hostname();
  row.context.first_seen = base::WallTimeFromMicroseconds(stored.first_seen_time_us());
  row.context.last_change = base::WallTimeFromMicroseconds(stored.last_change_time_us());
  row.context.present = stored.present();
  return row;
}

std::string DigestCell(const model::ContentDigest& digest) {
  if (!digest.sha256.has_value()) return std::string(model::DigestStateName(digest.state));
  const std::string start = digest.sha256->ToHex().substr(0, 12);
  return digest.state == model::DigestState::kVerified ? start : start + " (claimed)";
}

std::string RiskCell(const model::Facts& facts) {
  const model::Risk* worst = nullptr;
  for (const model::Risk& risk : facts.risks) {
    if (worst == nullptr || risk.severity > worst->severity) worst = &risk;
  }
  if (worst == nullptr || worst->severity == model::Severity::kInfo) return "";
  return std::string(model::SeverityName(worst->severity)) + ": " + worst->id;
}

report::Table NewSightingTable() {
  return report::Table({{"ENDPOINT"},
                        {"VERDICT"},
                        {"RULE"},
                        {"FORMAT"},
                        {"SIZE", Align::kRight},
                        {"LICENSE"},
                        {"SHA256"},
                        {"RISK"},
                        {"PATH"}});
}

void AddRow(report::Table& table, const Row& row) {
  const model::Sighting& sighting = row.sighting;
  const std::string verdict =
      row.verdict.has_value() ? std::string(model::OutcomeName(row.verdict->outcome)) : "pending";
  table.AddRow({row.context.hostname, row.context.present ? verdict : "gone",
                row.verdict.has_value() ? row.verdict->rule : "",
                std::string(model::FormatName(sighting.facts.format)),
                report::FormatBytes(sighting.size_bytes), sighting.facts.license,
                DigestCell(sighting.digest), RiskCell(sighting.facts), sighting.path.bytes});
}

// JSON is printed as it comes, a table when its columns are known.
template <typename Request, typename Response>
base::Result<Response> PrintAll(Context& context, const Arguments& arguments, Request request,
                                base::Status (AdminClient::*list)(const Request&, Response&),
                                std::uint64_t& shown) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  AdminClient client(std::move(profile));
  request.set_include_gone(arguments.Has("all"));
  WM_ASSIGN_OR_RETURN(const std::int64_t moment, MomentOf(arguments, "as-of"));
  request.set_as_of_time_us(moment);
  const bool json = arguments.Has("json");
  report::Table table = NewSightingTable();
  const auto tell = [&](const Response& page) -> base::Result<std::uint64_t> {
    for (const v1::StoredSighting& stored : page.sightings()) {
      WM_ASSIGN_OR_RETURN(const Row row, ReadRow(stored));
      if (json) {
        context.out << report::SightingToJson(row.sighting, row.verdict, row.context) << "\n";
      } else {
        AddRow(table, row);
      }
    }
    const auto rows = static_cast<std::uint64_t>(page.sightings_size());
    shown += rows;
    return rows;
  };
  auto last = ForEachPage(client, arguments, std::move(request), list, tell);
  if (last.has_value() && !table.empty()) context.out << table.ToString() << "\n";
  return last;
}

base::Result<ExitCode> Inventory(Context& context, const Arguments& arguments) {
  v1::ListSightingsRequest request;
  request.set_endpoint_id(arguments.Value("endpoint"));
  std::uint64_t shown = 0;
  WM_ASSIGN_OR_RETURN(const v1::ListSightingsResponse answer,
                      PrintAll(context, arguments, request, &AdminClient::ListSightings, shown));
  if (!arguments.Has("json")) {
    context.out << TotalLine(shown, answer.total(), answer.total_is_least(), "model files") << " "
                << CoverageLine(answer.coverage()) << "\n";
  }
  return ExitCode::kOk;
}

base::Result<ExitCode> Where(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const model::Sha256 digest, model::ParseSha256(arguments.Positional(0)));
  v1::WhereRequest request;
  if (arguments.Has("weights")) {
    request.set_weights_digest(digest.ToHex());
  } else {
    request.set_sha256(digest.ToHex());
  }
  std::uint64_t shown = 0;
  WM_ASSIGN_OR_RETURN(const v1::WhereResponse answer,
                      PrintAll(context, arguments, request, &AdminClient::Where, shown));
  if (!arguments.Has("json")) {
    context.out << TotalLine(shown, answer.total(), false,
                             "places on " + std::to_string(answer.endpoints()) + " endpoints")
                << " " << CoverageLine(answer.coverage()) << "\n";
  }
  return ExitCode::kOk;
}

base::Result<ExitCode> Artifacts(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  AdminClient client(std::move(profile));
  report::Table table({{"SHA256"},
                       {"PLACES", Align::kRight},
                       {"ENDPOINTS", Align::kRight},
                       {"FIRST SEEN"},
                       {"FORMAT"},
                       {"SIZE", Align::kRight},
                       {"LICENSE"},
                       {"NAME"}});
  std::uint64_t shown = 0;
  const auto tell = [&](const v1::ListArtifactsResponse& page) -> base::Result<std::uint64_t> {
    for (const v1::Artifact& artifact : page.artifacts()) {
      table.AddRow({artifact.sha256(), std::to_string(artifact.places()),
                    std::to_string(artifact.endpoints()), TimeCell(artifact.first_seen_time_us()),
                    std::string(model::FormatName(static_cast<model::Format>(artifact.format()))),
                    report::FormatBytes(artifact.size_bytes()), artifact.license(),
                    artifact.name()});
    }
    const auto rows = static_cast<std::uint64_t>(page.artifacts_size());
    shown += rows;
    return rows;
  };
  WM_ASSIGN_OR_RETURN(const v1::ListArtifactsResponse last,
                      ForEachPage(client, arguments, v1::ListArtifactsRequest(),
                                  &AdminClient::ListArtifacts, tell));
  if (!table.empty()) context.out << table.ToString() << "\n";
  context.out << TotalLine(shown, last.total(), last.total_is_least(), "artifacts") << "\n";
  return ExitCode::kOk;
}

// The path, or what else an event is about.
std::string AboutCell(const v1::StoredEvent& stored) {
  const v1::Event& event = stored.event();
  if (event.has_sighting_appeared()) return event.sighting_appeared().sighting().path().value();
  if (event.has_sighting_changed()) return event.sighting_changed().sighting().path().value();
  if (event.has_sighting_gone()) return event.sighting_gone().path().value();
  if (event.has_sighting_judged()) {
    const v1::SightingJudged& judged = event.sighting_judged();
    return judged.verdict().rule() + ": " + judged.path().value();
  }
  if (event.has_coverage_changed()) return event.coverage_changed().coverage().root().value();
  if (event.has_policy_applied()) return std::to_string(event.policy_applied().version());
  return "";
}

base::Result<ExitCode> Events(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  AdminClient client(std::move(profile));
  report::Table table({{"NUMBER", Align::kRight}, {"TIME"}, {"KIND"}, {"ABOUT"}});
  v1::ListEventsRequest request;
  request.set_endpoint_id(arguments.Positional(0));
  std::uint64_t shown = 0;
  const auto tell = [&](const v1::ListEventsResponse& page) -> base::Result<std::uint64_t> {
    for (const v1::StoredEvent& event : page.events()) {
      table.AddRow({std::to_string(event.number()), TimeCell(event.event().wall_time_us()),
                    event.kind(), AboutCell(event)});
    }
    const auto rows = static_cast<std::uint64_t>(page.events_size());
    shown += rows;
    return rows;
  };
  WM_ASSIGN_OR_RETURN(const v1::ListEventsResponse last,
                      ForEachPage(client, arguments, request, &AdminClient::ListEvents, tell));
  if (!table.empty()) context.out << table.ToString() << "\n";
  context.out << TotalLine(shown, last.total(), last.total_is_least(), "events") << "\n";
  return ExitCode::kOk;
}

base::Result<ExitCode> Verdicts(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile_path));
  v1::CountVerdictsRequest request;
  request.set_endpoint_id(arguments.Value("endpoint"));
  v1::CountVerdictsResponse counts;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).CountVerdicts(request, counts));
  context.out << counts.deny() << " denied, " << counts.warn() << " warned of, " << counts.allow()
              << " allowed, " << counts.pending() << " not judged yet. "
              << CoverageLine(counts.coverage()) << "\n";
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> InventoryCommands() {
  return {
      {"inventory",
       "lists the model files that endpoints have",
       {},
       WithListOptions({{"endpoint", "ID", "only this endpoint"},
                        {"all", "", "also files that are gone"},
                        {"as-of", "TIME", "what was there then: 2026-03-01T12:00:00Z or a date"},
                        {"json", "", "one JSON object a line"}}),
       Inventory},
      {"where",
       "lists every place of a file by its SHA-256",
       {"SHA256"},
       {{"weights", "", "by the digest of its weights: every packing of them"},
        {"all", "", "also where it was and is not any more"},
        {"as-of", "TIME", "where it was then: 2026-03-01T12:00:00Z or a date"},
        {"order", "FIELDS", "e.g. 'first_seen_time desc'"},
        {"limit", "N", "at most so many rows"},
        {"json", "", "one JSON object a line"}},
       Where},
      {"artifacts",
       "lists the distinct model files with the number of their places",
       {},
       WithListOptions({}),
       Artifacts},
      {"events",
       "lists what an endpoint told, newest first",
       {"ENDPOINT"},
       WithListOptions({}),
       Events},
      {"verdicts",
       "counts the models that are denied, warned of and allowed",
       {},
       {{"endpoint", "ID", "only those of this endpoint"}},
       Verdicts},
  };
}

}  // namespace weighmaster::server::ctl
