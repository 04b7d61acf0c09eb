#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "policy/model/digest.h"
#include "policy/report/sighting_json.h"
#include "policy/report/table.h"
#include "proto/wire/convert.h"
#include "server/ctl/commands/groups.h"
#include "server/ctl/listing.h"
#include "weighmaster/v1/admin.pb.h"

namespace weighmaster::server::ctl {
namespace {

using report::Cell;
constexpr auto kRight = report::Table::Align::kRight;

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

// A column of what the verdict says; nothing while there is none.
template <typename Part>
Column<Row> OfVerdict(report::Heading heading, Part part) {
  return {heading, [part](const Row& row) {
            return row.verdict.has_value() ? Cell::Text(part(*row.verdict)) : Cell::Nothing();
          }};
}

Cell OutcomeCell(const Row& row) {
  Cell cell = row.verdict.has_value() ? Cell::Text(model::OutcomeName(row.verdict->outcome))
                                      : Cell::Nothing().ShownAs("pending");
  return row.context.present ? cell : std::move(cell).ShownAs("gone");
}

Cell OptionalDigest(const std::optional<model::Sha256>& digest) {
  return digest.has_value() ? Cell::Text(digest->ToHex()) : Cell::Nothing();
}

// The keys are those of docs/formats/inventory-json.md.
Columns<Row> VerdictColumns() {
  return {
      {{"verdict", "VERDICT"}, OutcomeCell},
      OfVerdict({"rule", "RULE"}, [](const model::Verdict& v) { return v.rule; }),
      OfVerdict({"reason", ""}, [](const model::Verdict& v) { return v.reason; }),
      OfVerdict({"basis", ""}, [](const model::Verdict& v) { return model::BasisName(v.basis); }),
      OfVerdict({"severity", ""},
                [](const model::Verdict& v) { return model::SeverityName(v.severity); }),
      OfVerdict({"mode", ""}, [](const model::Verdict& v) { return model::ModeName(v.mode); }),
      {{"policy_version", ""},
       [](const Row& row) {
         return row.verdict ? Cell::Number(row.verdict->policy_version) : Cell::Nothing();
       }},
      OfVerdict({"step", ""},
                [](const model::Verdict& v) { return model::JudgementStepName(v.step); }),
      {{"audits", ""},
       [](const Row& row) {
         return row.verdict ? Cell::Words(row.verdict->audits) : Cell::Nothing();
       }},
  };
}

Columns<Row> FileColumns() {
  return {
      {{"format", "FORMAT"},
       [](const Row& row) { return Cell::Text(model::FormatName(row.sighting.facts.format)); }},
      {{"size_bytes", "SIZE", kRight},
       [](const Row& row) {
         return Cell::Number(row.sighting.size_bytes)
             .ShownAs(report::FormatBytes(row.sighting.size_bytes));
       }},
      {{"modified", ""},
       [](const Row& row) { return Cell::Text(base::FormatWallTime(row.sighting.modified_at)); }},
      {{"owner", ""},
       [](const Row& row) {
         const auto& owner = row.sighting.owner;
         return Cell::Text(owner.name.empty() ? owner.id : owner.name);
       }},
      {{"name", ""}, [](const Row& row) { return Cell::Text(row.sighting.facts.name); }},
      {{"architecture", ""},
       [](const Row& row) { return Cell::Text(row.sighting.facts.architecture); }},
      {{"parameters", ""},
       [](const Row& row) {
         const auto& parameters = row.sighting.facts.parameters;
         return parameters.has_value() ? Cell::Number(*parameters) : Cell::Nothing();
       }},
      {{"quantization", ""},
       [](const Row& row) { return Cell::Text(row.sighting.facts.quantization); }},
      {{"license", "LICENSE"},
       [](const Row& row) { return Cell::Text(row.sighting.facts.license); }},
      {{"sha256", "SHA256"},
       [](const Row& row) {
         return OptionalDigest(row.sighting.digest.sha256).ShownAs(DigestCell(row.sighting.digest));
       }},
      {{"digest_state", ""},
       [](const Row& row) {
         return Cell::Text(model::DigestStateName(row.sighting.digest.state));
       }},
      {{"weights_digest", ""},
       [](const Row& row) { return OptionalDigest(row.sighting.weights_digest); }},
      {{"worst_risk", "RISK"},
       [](const Row& row) { return Cell::Text(RiskCell(row.sighting.facts)); }},
      {{"path", "PATH"}, [](const Row& row) { return Cell::Text(row.sighting.path.bytes); }},
  };
}

Columns<Row> SightingColumns() {
  Columns<Row> columns = {
      {{"endpoint_id", ""}, [](const Row& row) { return Cell::Text(row.context.endpoint_id); }},
      {{"hostname", "ENDPOINT"}, [](const Row& row) { return Cell::Text(row.context.hostname); }},
      {{"present", ""}, [](const Row& row) { return Cell::Flag(row.context.present); }},
      {{"first_seen", ""},
       [](const Row& row) { return Cell::Text(base::FormatWallTime(row.context.first_seen)); }},
      {{"last_change", ""},
       [](const Row& row) { return Cell::Text(base::FormatWallTime(row.context.last_change)); }},
  };
  for (auto& more : {VerdictColumns(), FileColumns()}) {
    columns.insert(columns.end(), more.begin(), more.end());
  }
  return columns;
}

// `sentence` makes of the last page and the number of rows what stands below a table. The JSON of a
// sighting nests, so it is not made of columns.
template <typename Request, typename Response, typename Sentence>
base::Result<ExitCode> PrintSightings(Context& context, const Arguments& arguments, Request request,
                                      base::Status (AdminClient::*list)(const Request&, Response&),
                                      Sentence sentence) {
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  AdminClient client(std::move(profile));
  request.set_include_gone(arguments.Has("all"));
  Sheet<Row> sheet(context.out, form, SightingColumns());
  const auto tell = [&](const Response& page) -> base::Result<std::uint64_t> {
    for (const v1::StoredSighting& stored : page.sightings()) {
      WM_ASSIGN_OR_RETURN(const Row row, ReadRow(stored));
      if (form == report::Form::kJson) {
        context.out << report::SightingToJson(row.sighting, row.verdict, row.context) << "\n";
      } else {
        sheet.Add(row);
      }
    }
    return static_cast<std::uint64_t>(page.sightings_size());
  };
  WM_ASSIGN_OR_RETURN(const Response last,
                      ForEachPage(client, arguments, std::move(request), list, tell));
  sheet.End(sentence(last, sheet.added()) + " " +
            CoverageLine(last.coverage(), arguments.Has("as-of")));
  return ExitCode::kOk;
}

base::Result<ExitCode> Inventory(Context& context, const Arguments& arguments) {
  v1::ListSightingsRequest request;
  request.set_endpoint_id(arguments.Value("endpoint"));
  return PrintSightings(context, arguments, request, &AdminClient::ListSightings,
                        [](const auto& last, std::uint64_t shown) {
                          return TotalLine(shown, last.total(), last.total_is_least(),
                                           "model files");
                        });
}

std::string PresentLine(std::uint64_t present) {
  if (present == 0) return "It is in none of them now.";
  return "It is in " + std::to_string(present) + " of them now.";
}

base::Result<ExitCode> Where(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const model::Sha256 digest, model::ParseSha256(arguments.Positional(0)));
  v1::WhereRequest request;
  if (arguments.Has("weights")) {
    request.set_weights_digest(digest.ToHex());
  } else {
    request.set_sha256(digest.ToHex());
  }
  return PrintSightings(context, arguments, request, &AdminClient::Where,
                        [&arguments](const v1::WhereResponse& last, std::uint64_t shown) {
                          const std::string endpoints =
                              " on " + std::to_string(last.endpoints()) + " endpoints";
                          const bool filtered = arguments.Has("filter");
                          std::string text = TotalLine(shown, last.total(), last.total_is_least(),
                                                       filtered ? "places" : "places" + endpoints);
                          if (filtered) {
                            text += " Without the filter it is present " +
                                    std::to_string(last.present()) + " times," + endpoints + ".";
                          } else if (arguments.Has("all")) {
                            text += " " + PresentLine(last.present());
                          }
                          if (arguments.Has("weights") && last.total() == 0) {
                            text += " A weights digest is known of " +
                                    std::to_string(last.weights_known()) + " model files.";
                          }
                          return text;
                        });
}

Columns<v1::Artifact> ArtifactColumns() {
  using Artifact = v1::Artifact;
  return {
      {{"sha256", "SHA256"}, [](const Artifact& a) { return Cell::Text(a.sha256()); }},
      {{"places", "PLACES", kRight}, [](const Artifact& a) { return Cell::Number(a.places()); }},
      {{"endpoints", "ENDPOINTS", kRight},
       [](const Artifact& a) { return Cell::Number(a.endpoints()); }},
      {{"first_seen_time", "FIRST SEEN"},
       [](const Artifact& a) { return TimeOf(a.first_seen_time_us()); }},
      {{"format", "FORMAT"},
       [](const Artifact& a) {
         return Cell::Text(model::FormatName(static_cast<model::Format>(a.format())));
       }},
      {{"size_bytes", "SIZE", kRight},
       [](const Artifact& a) {
         return Cell::Number(a.size_bytes()).ShownAs(report::FormatBytes(a.size_bytes()));
       }},
      {{"license", "LICENSE"}, [](const Artifact& a) { return Cell::Text(a.license()); }},
      {{"name", "NAME"}, [](const Artifact& a) { return Cell::Text(a.name()); }},
  };
}

base::Result<ExitCode> Artifacts(Context& context, const Arguments& arguments) {
  return PrintList(
      context, arguments, v1::ListArtifactsRequest(), &AdminClient::ListArtifacts,
      [](const auto& page) -> const auto& { return page.artifacts(); }, ArtifactColumns(),
      "artifacts");
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

Columns<v1::StoredEvent> EventColumns() {
  using Event = v1::StoredEvent;
  return {
      {{"chain_id", ""}, [](const Event& event) { return Cell::Text(event.chain_id()); }},
      {{"number", "NUMBER", kRight},
       [](const Event& event) { return Cell::Number(event.number()); }},
      {{"time", "TIME"}, [](const Event& event) { return TimeOf(event.event().wall_time_us()); }},
      {{"kind", "KIND"}, [](const Event& event) { return Cell::Text(event.kind()); }},
      {{"about", "ABOUT"}, [](const Event& event) { return Cell::Text(AboutCell(event)); }},
  };
}

base::Result<ExitCode> Events(Context& context, const Arguments& arguments) {
  v1::ListEventsRequest request;
  request.set_endpoint_id(arguments.Positional(0));
  return PrintList(
      context, arguments, request, &AdminClient::ListEvents,
      [](const auto& page) -> const auto& { return page.events(); }, EventColumns(), "events");
}

std::vector<std::string> AuditWords(const v1::CountVerdictsResponse& counts) {
  std::vector<std::string> words;
  for (const v1::AuditCount& audit : counts.audits()) {
    words.push_back(audit.rule() + "=" + std::to_string(audit.sightings()));
  }
  return words;
}

Columns<v1::CountVerdictsResponse> CountColumns() {
  using Counts = v1::CountVerdictsResponse;
  return {
      {{"deny", ""}, [](const Counts& c) { return Cell::Number(c.deny()); }},
      {{"warn", ""}, [](const Counts& c) { return Cell::Number(c.warn()); }},
      {{"allow", ""}, [](const Counts& c) { return Cell::Number(c.allow()); }},
      {{"pending", ""}, [](const Counts& c) { return Cell::Number(c.pending()); }},
      {{"endpoints", ""}, [](const Counts& c) { return Cell::Number(c.coverage().endpoints()); }},
      {{"endpoints_looked", ""},
       [](const Counts& c) { return Cell::Number(c.coverage().endpoints_looked()); }},
      {{"endpoints_partly", ""},
       [](const Counts& c) { return Cell::Number(c.coverage().endpoints_partly()); }},
      {{"endpoints_not", ""},
       [](const Counts& c) { return Cell::Number(c.coverage().endpoints_not()); }},
      {{"audits", ""}, [](const Counts& c) { return Cell::Words(AuditWords(c)); }},
  };
}

void PrintAudits(std::ostream& out, const v1::CountVerdictsResponse& counts) {
  report::Table audits({{"AUDIT RULE"}, {"WOULD DECIDE", kRight}});
  for (const v1::AuditCount& audit : counts.audits()) {
    audits.AddRow({audit.rule(), std::to_string(audit.sightings())});
  }
  if (!audits.empty()) out << audits.ToString() << "\n";
}

base::Result<ExitCode> Verdicts(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(Profile profile, LoadProfile(context.profile));
  v1::CountVerdictsRequest request;
  request.set_endpoint_id(arguments.Value("endpoint"));
  WM_ASSIGN_OR_RETURN(const std::int64_t moment, MomentOf(arguments, "as-of"));
  request.set_as_of_time_us(moment);
  v1::CountVerdictsResponse counts;
  WM_RETURN_IF_ERROR(AdminClient(std::move(profile)).CountVerdicts(request, counts));
  WM_ASSIGN_OR_RETURN(const report::Form form, FormOf(arguments));
  if (form == report::Form::kTable) PrintAudits(context.out, counts);
  const std::string sentence =
      std::to_string(counts.deny()) + " denied, " + std::to_string(counts.warn()) + " warned of, " +
      std::to_string(counts.allow()) + " allowed, " + std::to_string(counts.pending()) +
      " not judged yet. " + CoverageLine(counts.coverage(), arguments.Has("as-of"));
  return PrintThing(context, arguments, counts, CountColumns(), sentence);
}

}  // namespace

std::vector<Command> InventoryCommands() {
  return {
      {"inventory",
       "lists the model files that endpoints have",
       {},
       WithListOptions({{"endpoint", "ID", "only this endpoint"},
                        {"all", "", "also files that are gone"},
                        AsOfOption("what was there then: 2026-03-01T12:00:00Z or a date")}),
       Inventory,
       &query::Sightings()},
      {"where",
       "lists every place of a file by its SHA-256",
       {"SHA256"},
       WithWatchOptions({{"weights", "", "by the digest of its weights: every packing of them"},
                         {"all", "", "also where it was and is not any more"},
                         AsOfOption("where it was then: 2026-03-01T12:00:00Z or a date"),
                         {"filter", "FILTER", "only places that match, e.g. 'path:/home/'"},
                         {"order", "FIELDS", "e.g. 'first_seen_time desc'"},
                         {"limit", "N", "at most so many rows"}}),
       Where,
       &query::Sightings()},
      {"artifacts",
       "lists the distinct model files with the number of their places",
       {},
       WithListOptions({AsOfOption("where they were then: 2026-03-01T12:00:00Z or a date")}),
       Artifacts,
       &query::Artifacts()},
      {"events",
       "lists what an endpoint told, newest first",
       {"ENDPOINT"},
       WithListOptions({}),
       Events,
       &query::Events()},
      {"verdicts",
       "counts the models that are denied, warned of and allowed",
       {},
       WithWatchOptions({{"endpoint", "ID", "only those of this endpoint"},
                         AsOfOption("as it was then: 2026-03-01T12:00:00Z or a date")}),
       Verdicts},
  };
}

}  // namespace weighmaster::server::ctl
